import { LifeboatError } from '../core/errors.ts';
import {
  compareInvariants,
  connect,
  createDatabase,
  databaseInfo,
  measureWholeDatabase,
} from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { RestoreContext } from './context.ts';
import { claimEmptyDatabase } from './empty-database.ts';
import { collectFindings, noneFound } from './findings.ts';
import { loadDumps } from './load-dumps.ts';
import type { SourceDatabase } from './source.ts';
import type { Check } from './step.ts';

/**
 * The databases beside the homeserver's (auth service, bridges): in a drill each comes back under its label in the sealed
 * cluster, in a restore where its admin says. What does not load is a finding, so that the others are still looked at.
 */
export async function restoreOtherDatabases(context: RestoreContext): Promise<void> {
  const failures = new Map<string, LifeboatError>();
  context.found.otherFailures = failures;
  for (const database of context.source.databases ?? []) {
    const target = placeOf(database, context);
    if (target === undefined) continue;
    try {
      await restoreOne(database, target, context);
    } catch (error) {
      context.signal?.throwIfAborted();
      if (!(error instanceof LifeboatError)) throw error;
      failures.set(database.label, error);
    }
  }
}

async function restoreOne(
  database: SourceDatabase,
  target: PostgresTarget,
  context: RestoreContext,
): Promise<void> {
  const { admin } = context.target;
  if (admin !== undefined) await createAsItWas(database, admin, target);
  const one: RestoreContext = {
    ...context,
    source: { ...context.source, dumps: () => database.dumps() },
    target: { ...context.target, database: target },
    // What is a service's own code, nobody here knows; it runs as the role that owns the new database, no superuser.
    allowCode: true,
  };
  await claimEmptyDatabase(one);
  await loadDumps(one);
  await using session = await connect(target, { applicationName: 'lifeboat:restore' });
  await session.query('ANALYZE');
}

/** With its own collation, where the machine of the drill knows it; text is ordered otherwise else, which a check says. */
async function createAsItWas(
  { encoding, collate, ctype }: SourceDatabase,
  admin: PostgresTarget,
  { database, user }: PostgresTarget,
): Promise<void> {
  try {
    await createDatabase(admin, database, user, { encoding, collate, ctype });
  } catch {
    await createDatabase(admin, database, user);
  }
}

/** Where it is restored to; undefined: nowhere. */
function placeOf({ label }: SourceDatabase, { target }: RestoreContext): PostgresTarget | undefined {
  const given = target.others?.get(label);
  if (given !== undefined || target.admin === undefined) return given;
  return { ...target.database, database: label };
}

/** One line of the report for each database. */
export async function* checkOtherDatabases(context: RestoreContext): AsyncGenerator<Check> {
  for (const database of context.source.databases ?? []) yield* checkOne(database, context);
}

async function* checkOne(database: SourceDatabase, context: RestoreContext): AsyncGenerator<Check> {
  const { label, invariants } = database;
  const tables = Object.keys(invariants.tableRows).length;
  const check = {
    id: `databases.${label}`,
    title: `database ${label}: rows of ${tables} tables, sequences, indexes, constraints and triggers as in the snapshot`,
  };
  const target = placeOf(database, context);
  if (target === undefined) {
    const detail = [
      `Restore it with --also ${label}=postgresql://USER@HOST/DATABASE into an empty database, or write its dump with --only database.`,
    ];
    yield { ...check, result: 'warn', observed: 'not restored', detail };
    return;
  }
  const failure = context.found.otherFailures?.get(label);
  if (failure !== undefined) {
    yield { ...check, result: 'fail', observed: failure.message, detail: failure.hints };
    return;
  }
  await using session = await connect(target, { applicationName: 'lifeboat:check' });
  const found = collectFindings();
  const differences = compareInvariants(invariants, await measureWholeDatabase(session), {
    withoutRows: database.excludedData,
  });
  for (const { what, name, expected, observed } of differences)
    found.add(`${what} ${name}: expected ${expected}, observed ${observed}`);
  yield noneFound(check, found, { unit: 'differences' });
  const info = await databaseInfo(session);
  const [before, now] = [database, info].map(
    ({ encoding, collate, ctype }) => `${encoding} ${collate} ${ctype}`,
  );
  if (before === now) return;
  yield {
    id: `databases.${label}.locale`,
    title: `database ${label} has its encoding, collation and character type`,
    result: 'warn',
    expected: before,
    observed: now,
    detail: ['Text is ordered otherwise. This machine may lack the locale: see locale -a.'],
  };
}
