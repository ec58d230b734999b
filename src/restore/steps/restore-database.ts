import { isLifeboatError } from '../../core/errors.ts';
import { connect, databaseInfo, measureInvariants } from '../../database/index.ts';
import type { PostgresSession } from '../../database/port.ts';
import { checkIntegrity, homeserverOf } from '../../homeserver/index.ts';
import type { KindFacts } from '../../homeserver/port.ts';
import type { RestoreContext } from '../context.ts';
import { checkClient } from '../client-check.ts';
import { checkCode } from '../dump-code.ts';
import { claimEmptyDatabase } from '../empty-database.ts';
import { same } from '../findings.ts';
import { compareWithManifest } from '../invariant-checks.ts';
import { loadDumps } from '../load-dumps.ts';
import { checkOtherDatabases, restoreOtherDatabases } from '../other-databases.ts';
import { checkMajor } from '../postgres-major.ts';
import { physicalChecks, restorePhysical } from '../physical-checks.ts';
import type { Check, Step } from '../step.ts';

/** Step 1: the database, into an empty one only; then everything that was measured at backup time, measured again. */
export const restoreDatabaseStep: Step<RestoreContext> = {
  id: 'restore-database',
  number: 1,
  title: 'Restore database',
  requires: [],
  apply,
  check: compare,
};

/** Names that a warning carries. */
const WARNED = 3;

async function apply(context: RestoreContext): Promise<void> {
  const { source, target } = context;
  if (source.physical !== undefined) {
    await restorePhysical(context);
    return;
  }
  await claimEmptyDatabase(context);
  await loadDumps(context);
  await restoreOtherDatabases(context);
  await using session = await connect(target.database, { applicationName: 'lifeboat:restore' });
  // Without statistics the first queries of a big server take minutes (Postgres manual, "Restoring the Dump").
  await session.query('ANALYZE');
}

async function* compare(context: RestoreContext): AsyncGenerator<Check> {
  const { source, target, found } = context;
  await using session = await connect(target.database, { applicationName: 'lifeboat:check' });
  const info = await databaseInfo(session);
  found.databaseBytes = info.sizeBytes;
  const locale = { id: 'database.locale', title: 'encoding UTF8, collation and character type C' };
  yield same(locale, 'UTF8 C C', `${info.encoding} ${info.collate} ${info.ctype}`);
  yield* checkOtherDatabases(context);
  yield checkMajor(source.postgresVersion, info.serverVersion);
  yield await checkCode(session, context);
  yield await checkClient(context);

  const owner = { id: 'database.homeserver', title: `it is the database of ${source.serverName}` };
  const kind = await measureKind(session, source.serverName);
  if (kind instanceof Error) {
    // An empty database starts happily and makes itself a schema: "it is up" would prove nothing.
    yield {
      ...owner,
      result: 'fail',
      expected: `tables and users of ${source.serverName}`,
      observed: kind.message,
    };
    return;
  }
  yield ownerCheck(owner, kind.facts);
  found.measured = { ...(await measureInvariants(session)), ...kind };
  const compared = compareWithManifest(source.invariants, found.measured, source.excludedData);
  yield* source.physical === undefined ? compared : physicalChecks(context, compared);
  yield* integrity(session, source.serverName);
}

/** Tables alone say nothing of whose they are: those of a dump that was cut short are all there, and empty. */
export function ownerCheck(
  check: Pick<Check, 'id' | 'title'>,
  { users = 0, rooms = 0, events = 0, events_local: own = 0 }: KindFacts['facts'],
): Check {
  const observed = `${users} users, ${rooms} rooms, ${events} events, ${own} of them by its own users`;
  if (users === 0) return { ...check, result: 'fail', expected: 'at least 1 user', observed };
  if (own !== 0) return { ...check, result: 'pass', observed };
  return {
    ...check,
    result: 'warn',
    expected: 'at least 1 event of its own users',
    observed,
    detail: ['Nobody has written anything on this server yet, or its events are lost.'],
  };
}

async function measureKind(session: PostgresSession, serverName: string): Promise<KindFacts | Error> {
  try {
    return await homeserverOf('synapse').facts(session, { serverName });
  } catch (error) {
    if (isLifeboatError(error, 'database-foreign') || isLifeboatError(error, 'server-name-mismatch'))
      return error;
    throw error;
  }
}

/** What must be true inside any homeserver's database, whatever a manifest says. */
async function* integrity(session: PostgresSession, serverName: string): AsyncGenerator<Check> {
  for (const finding of await checkIntegrity(session, { serverName })) {
    yield {
      id: `database.${finding.id}`,
      title: finding.title,
      result: finding.ok ? 'pass' : finding.severity === 'warning' ? 'warn' : 'fail',
      observed: finding.observed,
      // A warning is not looked up item by item.
      detail: finding.severity === 'warning' ? finding.names.slice(0, WARNED) : finding.names,
    };
  }
}
