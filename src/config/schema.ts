import { z } from './zod.ts';
import { mediaSchema } from './media.ts';
import { maintenanceSchema } from './maintenance.ts';
import { hooksSchema, prioritySchema } from './running.ts';
import { otherDatabasesSchema } from './other-databases.ts';
import { pgBackRestSchema } from './pgbackrest.ts';
import { copySchema, duration, secret, storeShape } from './store.ts';
import { viaSchema } from './database-way.ts';

/**
 * lifeboat.yaml, strictly: an unknown key is an error, because a misspelt retention rule would lose backups.
 * Every key has a description; docs/reference/configuration.md repeats them, and a test holds both equal.
 */
const path = z.string().min(1);
const count = z.int().min(0);

export const configSchema = z.strictObject({
  version: z.literal(1).describe('Version of this file.'),
  homeserver: z
    .strictObject({
      kind: z.literal('synapse').describe('Kind of homeserver.'),
      config: z.array(path).min(1).describe('Its configuration files, in the order of its -c flags.'),
      program: path
        .optional()
        .describe('Python interpreter of the installation, where it is not found by itself.'),
      paths: z
        .record(path, path)
        .default({})
        .describe(
          'Where it runs in a container: path in there -> path on this host, as its volumes are mounted.',
        ),
      container: z
        .string()
        .regex(/^[\w][\w.-]*$/, 'must be the name of a container')
        .optional()
        .describe('Container that it runs in: its version is asked there, by docker exec.'),
    })
    .describe('The homeserver to back up.'),
  database: z
    .strictObject({
      engine: z
        .enum(['dump', 'pgbackrest'])
        .default('dump')
        .describe('Who backs the database up: lifeboat by pg_dump, or pgBackRest (docs/pgbackrest.md).'),
      pgbackrest: pgBackRestSchema.optional(),
      host: z
        .string()
        .optional()
        .describe(
          'Host name, address, or directory of a Unix socket. Default: as the homeserver has it; so for the next four.',
        ),
      port: z.int().min(1).max(65535).optional().describe('TCP port.'),
      user: z.string().optional().describe('A role that can read everything (pg_read_all_data) is enough.'),
      password: secret.optional().describe('Password: text with ${ENV}, {file: path} or {env: NAME}.'),
      database: z.string().optional().describe('Name of the database.'),
      sslmode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']).optional().describe('As in libpq.'),
      sslrootcert: path.optional().describe('Certificate authority of the database server.'),
      sslcert: path.optional().describe('Client certificate, where the server wants one.'),
      sslkey: path.optional().describe('Its key, readable by nobody else.'),
      via: viaSchema
        .optional()
        .describe('How to get to where the database can be reached (docs/database-ways.md).'),
      client_directory: path
        .optional()
        .describe('Directory of pg_dump, pg_restore and psql, where the newest found is not wanted.'),
      yield_after: duration
        .prefault('10s')
        .describe(
          'How long others may wait for a table behind the backup; then it gives way, and begins again from a new snapshot.',
        ),
      amcheck_every: z
        .union([z.literal('never'), duration])
        .prefault('7d')
        .transform((every) => (every === 'never' ? Infinity : every))
        .describe(
          'How often the indexes are checked by the extension amcheck, where it is installed and may be used. 0s: each time.',
        ),
      lock_timeout: duration
        .prefault('30s')
        .describe(
          'How long the backup waits for a table that somebody holds exclusively, in all attempts together.',
        ),
      lanes: z
        .int()
        .min(1)
        .max(16)
        .optional()
        .describe(
          'How many pg_dump run at once, if it has more than 64 MiB; default: as many as processors, at most 4.',
        ),
      also: otherDatabasesSchema,
      ignore: z
        .array(z.string())
        .default([])
        .describe(
          'Databases of the same cluster that do not belong to the homeserver, so that nobody is warned.',
        ),
    })
    .refine(({ engine, pgbackrest }) => engine === 'dump' || pgbackrest !== undefined, {
      path: ['pgbackrest'],
      message: 'is missing: engine pgbackrest needs the stanza',
    })
    .prefault({})
    .describe('How to reach the database, where it differs from the homeserver configuration.'),
  media: mediaSchema.prefault({}).describe('Media.'),
  config: z
    .strictObject({
      extra: z
        .array(path)
        .default([])
        .describe(
          'Further files and directories, absolute, with * and **: kept with owner and mode, links as links.',
        ),
      search: z
        .boolean()
        .default(true)
        .describe(
          'Look in the usual places for what starts it (systemd, docker compose, environment files) and reaches it (reverse proxy, .well-known).',
        ),
    })
    .prefault({})
    .describe('Configuration beyond what homeserver.yaml names.'),
  repository: z
    .strictObject({
      ...storeShape,
      copies: z
        .array(copySchema)
        .default([])
        .describe('Further places of the same repository, each with a name, a path and the keys above.'),
      host_key_file: path.describe('Key of this host: adds snapshots, cannot read or delete them.'),
      admin_key_file: path
        .optional()
        .describe('Key that may forget and prune; kept elsewhere in hardened mode.'),
      identity_file: path
        .optional()
        .describe('Recovery identity that opens snapshots; only where drills and restores run.'),
      state_directory: path.describe(
        'Where this host remembers the newest record it saw, to notice a rolled-back repository.',
      ),
    })
    .describe('Where snapshots are kept.'),
  retention: z
    .strictObject({
      keep_last: count.optional().describe('Newest snapshots.'),
      keep_daily: count.default(7).describe('One a day, for so many days that have one.'),
      keep_weekly: count.default(4).describe('One an ISO week.'),
      keep_monthly: count.default(12).describe('One a month.'),
      keep_yearly: count.optional().describe('One a year.'),
      keep_within: duration
        .prefault('7d')
        .describe(
          'Everything that was stored within this time, whatever the rules say: a thief of the host key cannot push it out.',
        ),
      floor: count.default(3).describe('Never fewer than these newest, whatever the rules say.'),
    })
    .prefault({})
    .describe('What `lifeboat prune` keeps. Pins and the newest proven snapshot always stay.'),
  drill: z
    .strictObject({
      peer: z
        .boolean()
        .default(false)
        .describe('Start a second real homeserver in the sealed environment and federate with it.'),
      timeout: duration.prefault('30m').describe('Longest time for the whole drill.'),
      work_directory: path.default('/var/tmp').describe('Where the drill makes its throw-away directory.'),
      postgres_directory: path
        .optional()
        .describe('Directory of initdb and postgres, where the newest found is not wanted.'),
    })
    .prefault({})
    .describe('How drills are run.'),
  hooks: hooksSchema,
  priority: prioritySchema,
  maintenance: maintenanceSchema,
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'])
        .default('info')
        .describe('Least level that is logged.'),
    })
    .prefault({})
    .describe('Logging.'),
});

export type ConfigFile = z.output<typeof configSchema>;

/** For editors: JSON Schema of lifeboat.yaml. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
}
