import { z } from '../../config/zod.ts';
import { LifeboatError } from '../../core/errors.ts';

/**
 * `pgbackrest info --output=json`, as far as it is used (pgBackRest, src/command/info/info.c). Later versions add fields.
 * Times are seconds since the epoch. A `system-id` has more digits than a number holds: `parseJson` makes it text.
 */
const backup = z.object({
  label: z.string(),
  type: z.enum(['full', 'diff', 'incr']),
  archive: z.object({ start: z.string().nullable(), stop: z.string().nullable() }),
  backrest: z.object({ version: z.string() }),
  database: z.object({ id: z.number(), 'repo-key': z.number() }),
  error: z.boolean().nullish(),
  info: z.object({
    size: z.number(),
    repository: z.object({ delta: z.number() }),
  }),
  timestamp: z.object({ start: z.number(), stop: z.number() }),
});

const stanza = z.object({
  name: z.string(),
  archive: z.array(
    z.object({
      id: z.string(),
      max: z.string().nullable(),
      min: z.string().nullable(),
      database: z.object({ id: z.number(), 'repo-key': z.number() }),
    }),
  ),
  backup: z.array(backup),
  db: z.array(z.object({ id: z.number(), 'repo-key': z.number(), 'system-id': z.string() })),
  status: z.object({ code: z.number(), message: z.string() }),
});

export type StanzaInfo = z.output<typeof stanza>;
export type BackupInfo = z.output<typeof backup>;

/** Errors: `database-dump-failed` for a stanza that is not there, or output of another shape. Pure. */
export function parseInfo(text: string, name: string): StanzaInfo {
  const parsed = z.array(stanza).safeParse(parseJson(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new LifeboatError(
      'database-dump-failed',
      `pgbackrest info says something unknown: ${issue?.path.join('.')}: ${issue?.message}`,
      { hint: 'This version of pgBackRest is not known to lifeboat; tell its authors.' },
    );
  }
  const found = parsed.data.find((each) => each.name === name);
  if (found !== undefined && found.db.length > 0) return found;
  throw new LifeboatError(
    'database-dump-failed',
    `pgBackRest has no stanza ${name}: ${found?.status.message ?? 'not listed'}`,
    {
      hint: `Correct database.pgbackrest in lifeboat.yaml, or make it: pgbackrest --stanza=${name} stanza-create`,
    },
  );
}

const listing = z.record(z.string(), z.object({ type: z.string(), time: z.number().optional() }));

/** `pgbackrest repo-ls --output=json`: names of WAL segments -> when they came. Pure. */
export function parseSegments(text: string): Map<string, Date> {
  const found = new Map<string, Date>();
  for (const [file, { time }] of Object.entries(listing.parse(parseJson(text)))) {
    // `000000010000000000000001-85e3603d...zst`; not `.partial`, `.backup`, `.history`.
    const segment = /^([0-9A-F]{24})-[0-9a-f]{40}/.exec(file)?.[1];
    if (segment !== undefined) found.set(segment, new Date((time ?? 0) * 1000));
  }
  return found;
}

function parseJson(text: string): unknown {
  return JSON.parse(text, ((key: string, value: unknown, { source }: { source?: string }) =>
    key === 'system-id' ? (source ?? value) : value) as (key: string, value: unknown) => unknown);
}
