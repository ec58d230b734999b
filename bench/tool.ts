/** A backup tool as a set of shell commands over one repository in one directory. */
export interface Tool {
  readonly name: string;
  /** Encrypts, and keeps many snapshots without storing what is equal again: what lifeboat is compared with. */
  readonly comparable: boolean;
  /** Prints the version; fails where the tool is not installed. */
  readonly probe: string;
  readonly installHint: string;
  /** For every command below. */
  env(place: Place): Readonly<Record<string, string>>;
  /** Not measured. */
  init(place: Place): string;
  /** The same command for the first backup and all others. */
  backUpMedia(place: Place, source: MediaSource): string | undefined;
  /** Backups after the first; undefined for tools that would make a second first one. */
  readonly incremental: boolean;
  restoreMedia(place: Place, target: string): string;
  /** Reads all data. */
  check(place: Place): string | undefined;
  /** Takes a dump from standard input; undefined where there is no deduplication to be measured. */
  backUpStream?(place: Place): string;
}

export interface Place {
  /** Of this tool in this round alone. */
  readonly directory: string;
}

export interface MediaSource {
  readonly directory: string;
  readonly rowsFile: string;
}
