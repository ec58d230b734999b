import type { OptionDefinition } from './definition.ts';

/** Accepted before and after the name of every command. */
export interface GlobalFlags {
  readonly config?: string;
  readonly repository?: string;
  readonly copy?: string;
  readonly identity?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color?: boolean;
}

export const GLOBAL_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--config <FILE>', description: 'lifeboat.yaml (LIFEBOAT_CONFIG)' },
  {
    flags: '-r, --repository <PLACE>',
    description:
      'repository, instead of the one in lifeboat.yaml: a directory, s3:... or sftp:... (LIFEBOAT_REPOSITORY)',
  },
  { flags: '--copy <NAME>', description: 'read from this copy of the repository (repository.copies)' },
  {
    flags: '--identity <FILE>',
    description: 'recovery identity that opens snapshots (LIFEBOAT_IDENTITY_FILE)',
  },
  { flags: '--json', description: 'JSON lines on standard output; the last one is the summary' },
  { flags: '-q, --quiet', description: 'no progress and no notes' },
  { flags: '-v, --verbose', description: 'more detail, and the causes of errors' },
  { flags: '--no-color', description: 'no colours (NO_COLOR)' },
];

/** The long name of an option: `--tag` of `-t, --tag <TAG>`. */
export function longFlag({ flags }: OptionDefinition): string {
  return /--[a-z-]+/.exec(flags)![0];
}
