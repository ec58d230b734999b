import { z } from './zod.ts';

const path = z.string().min(1);

/** `database.pgbackrest`: which of its backups are this homeserver's, and how its program is called. */
export const pgBackRestSchema = z
  .strictObject({
    stanza: z
      .string()
      .regex(/^[\w.-]+$/, 'must be the name of a stanza')
      .describe('Its name for the cluster.'),
    config: path.optional().describe('Its configuration file. Default: as pgBackRest looks for it.'),
    repo: z.int().min(1).max(256).default(1).describe('Number of its repository, as in repo1-path.'),
    type: z
      .enum(['auto', 'full', 'diff', 'incr', 'newest'])
      .default('auto')
      .describe(
        'What a backup makes: auto is a full one when the last is a week old, else incr; newest makes none and takes the newest there is.',
      ),
    program: path.default('pgbackrest').describe('Its program.'),
    run_as: z
      .string()
      .regex(/^[a-z_][\w-]*$/, 'must be the name of a user')
      .optional()
      .describe(
        'User that backup and check run as when lifeboat is root; pgBackRest wants the owner of the cluster.',
      ),
  })
  .describe('For the engine pgbackrest, and for drills of its backups.');

export interface PgBackRestSettings {
  readonly stanza: string;
  readonly config: string | undefined;
  readonly repo: number;
  readonly type: 'auto' | 'full' | 'diff' | 'incr' | 'newest';
  readonly program: string;
  readonly runAs: string | undefined;
}

export function toPgBackRest(
  given: z.output<typeof pgBackRestSchema> | undefined,
  at: (path: string) => string,
): PgBackRestSettings | undefined {
  if (given === undefined) return undefined;
  const { config, run_as: runAs, ...rest } = given;
  return { ...rest, runAs, config: config === undefined ? undefined : at(config) };
}
