import type { Secret } from '../core/secret.ts';
import { secret, type SecretReference } from './store.ts';
import { z } from './zod.ts';

/** A database beside the homeserver's that belongs to the same recovery set; what is undefined is as for the homeserver's. */
export interface OtherDatabaseConfig {
  /** In messages, reports and the manifest; also the name of its copy in a drill. */
  readonly name: string;
  readonly database: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
}

/** PostgreSQL's own, and that of the homeserver in a drill. */
const TAKEN = new Set(['postgres', 'template0', 'template1', 'restored']);

const otherDatabaseSchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/,
      'must be letters, digits, underscores and hyphens, at most 63',
    )
    .refine((name) => !TAKEN.has(name), 'is a name that PostgreSQL or the drill needs; choose another')
    .describe('What reports call it.'),
  database: z.string().min(1).optional().describe('Name of the database. Default: name.'),
  host: z.string().optional().describe('Default: as for the homeserver; so for the next three.'),
  port: z.int().min(1).max(65535).optional().describe('TCP port.'),
  user: z.string().optional().describe('A role that can read everything in it.'),
  password: secret.optional().describe('Its password.'),
});

export const otherDatabasesSchema = z
  .array(otherDatabaseSchema)
  .default([])
  .refine(
    (list) => new Set(list.map(({ name }) => name)).size === list.length,
    'must have a name of its own each',
  )
  .describe(
    'Databases of the auth service, of bridges and the like, of the same instant: a name each, and database, host, port, user, password where they differ.',
  );

export async function toOtherDatabases(
  list: z.output<typeof otherDatabasesSchema>,
  secretAt: (
    path: readonly (string | number)[],
  ) => (given: SecretReference | undefined) => Promise<Secret | undefined>,
): Promise<OtherDatabaseConfig[]> {
  return await Promise.all(
    list.map(async ({ name, database, host, port, user, password }, index) => ({
      name,
      database: database ?? name,
      host,
      port,
      user,
      password: await secretAt(['database', 'also', index, 'password'])(password),
    })),
  );
}
