import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';

/**
 * What this host remembers of a database from run to run: it cannot read its own old manifests. One file for each repository
 * and database, 0600, in the state directory.
 */
const alarm = z.strictObject({
  what: z.enum(['rows', 'relation', 'position', 'index']),
  name: z.string(),
  before: z.number().nullable(),
  now: z.number().nullable(),
  since: z.string(),
  snapshot: z.string(),
});

const schema = z.strictObject({
  v: z.literal(1),
  database: z.string(),
  /** Of the last committed run. */
  counts: z.strictObject({
    snapshot: z.string(),
    at: z.string(),
    tableRows: z.record(z.string(), z.number()),
    indexes: z.array(z.string()),
    facts: z.record(z.string(), z.union([z.number(), z.string()])),
  }),
  /** Not accepted yet. */
  alarms: z.array(alarm),
  /** The last check of the indexes that was done to its end, and what it found. */
  amcheck: z.strictObject({ at: z.string(), findings: z.array(z.string()) }).optional(),
});

export type HealthState = z.infer<typeof schema>;

export function healthStatePath(stateDirectory: string, repositoryId: string, database: string): string {
  const name = createHash('sha256').update(database).digest('hex').slice(0, 16);
  return join(stateDirectory, 'database', `${repositoryId}-${name}.json`);
}

/** Undefined when there was no run yet. Errors: `file-unreadable`. */
export async function readHealthState(path: string): Promise<HealthState | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LifeboatError('file-unreadable', `cannot read what was counted in earlier runs: ${path}`, {
      cause,
      hint: `Look whether the database is as you expect it, then remove ${path}: the next backup begins it anew.`,
    });
  }
}

export async function writeHealthState(path: string, state: HealthState): Promise<void> {
  await ensurePrivateDirectory(dirname(path));
  await writeDurably(path, `${JSON.stringify(state)}\n`);
}
