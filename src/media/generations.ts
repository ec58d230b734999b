/** Generations of media at a place outside of the repository: what a prune may delete of them. */
export interface MediaGenerations {
  /** For people. */
  readonly place: string;
  /**
   * Deletes what no live snapshot names and is older than the grace. `live` is asked after the generations were listed: a
   * snapshot that was committed meanwhile is in it. Resolves to the names of what was, or with `dryRun` would be, deleted.
   */
  retire(options: RetireOptions): Promise<readonly string[]>;
}

export interface RetireOptions {
  /** Ids of all snapshots in the log. */
  readonly live: () => Promise<ReadonlySet<string>>;
  readonly graceMs: number;
  readonly now: Date;
  readonly dryRun: boolean;
}
