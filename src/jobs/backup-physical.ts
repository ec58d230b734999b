import { LifeboatError } from '../core/errors.ts';
import { connect, databaseInfo, measureInvariants, timelineOf } from '../database/index.ts';
import type { KeptBackup, PhysicalEngine } from '../database/engine.ts';
import type { PostgresSession, PostgresTarget } from '../database/port.ts';
import type { Homeserver, Inventory } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { DatabaseComponent } from '../repository/manifest.ts';
import type { Attempt } from './instant.ts';

interface PhysicalSource {
  readonly kind: Homeserver;
  readonly inventory: Inventory;
  readonly database: PostgresTarget;
}

/**
 * The tool's backup first, then the instant: a snapshot whose place in the WAL is known, in which everything is measured; then
 * that WAL into the archive. A restore recovers to that place. Media are copied afterwards, as with a dump, out of the same
 * snapshot. `look` refuses before hours are spent. Errors: those of the engine and of `look`.
 */
export async function keepPhysically(
  engine: PhysicalEngine,
  { kind, inventory, database }: PhysicalSource,
  look: (session: PostgresSession) => Promise<void>,
  { progress, signal }: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
): Promise<KeptBackup> {
  {
    await using session = await connect(database, { applicationName: 'lifeboat:look' });
    await kind.facts(session, inventory);
    await look(session);
  }
  progress({ phase: 'database', message: `${engine.name}: backing up` });
  const kept = await engine.backup(signal);
  progress({ phase: 'database', message: `${engine.name}: ${kept.label} is there` });
  return kept;
}

/** Errors: those of the engine, `database-foreign` when the stanza is of another cluster. */
export async function recordPhysically(
  engine: PhysicalEngine,
  kept: KeptBackup,
  { kind, inventory, database: target }: PhysicalSource,
  { snapshot, signal }: Pick<Attempt, 'snapshot' | 'signal'>,
  progress: Progress,
): Promise<DatabaseComponent> {
  const { recovery } = snapshot;
  if (recovery === undefined) throw new LifeboatError('internal', 'the snapshot has no place in the WAL');
  requireSameCluster(kept, recovery.systemId, target);
  requireSameTimeline(kept, recovery.target.walFile);
  progress({ phase: 'database', message: `measuring invariants as of ${recovery.target.lsn}` });
  const { kindFacts, measured, info } = await snapshot.withoutLocks(async (session) => ({
    kindFacts: await kind.facts(session, inventory),
    measured: await measureInvariants(session),
    info: await databaseInfo(session),
  }));
  progress({ phase: 'database', message: `${engine.name}: archiving up to ${recovery.target.walFile}` });
  await engine.archiveUpToNow(signal);
  return {
    engine: 'pgbackrest',
    name: info.name,
    serverVersion: info.serverVersion,
    clientVersion: kept.version,
    encoding: info.encoding,
    collate: info.collate,
    ctype: info.ctype,
    extensions: info.extensions,
    owner: info.owner,
    snapshotAt: snapshot.takenAt.toISOString(),
    dumps: [],
    // All rows come along; what must not come back is removed before the first start.
    excludedData: [],
    invariants: { ...measured, sequences: recovery.sequences, ...kindFacts },
    physical: { ...kept, superuser: recovery.superuser, target: recovery.target },
  };
}

function requireSameCluster({ stanza, systemId }: KeptBackup, found: string, target: PostgresTarget): void {
  if (systemId === found) return;
  throw new LifeboatError(
    'database-foreign',
    `stanza ${stanza} holds the cluster ${systemId}, but ${target.database} on ${target.host} is in the cluster ${found}`,
    { hint: 'Name the stanza of this cluster in lifeboat.yaml as database.pgbackrest.stanza.' },
  );
}

function requireSameTimeline({ label, walStart }: KeptBackup, walFile: string): void {
  if (timelineOf(walStart) === timelineOf(walFile)) return;
  throw new LifeboatError(
    'database-dump-failed',
    `the cluster was promoted since the backup ${label} began: its WAL goes from timeline ${timelineOf(walStart)} to ${timelineOf(walFile)}`,
    { hint: 'Run the backup again, with a database.pgbackrest.type other than newest.' },
  );
}
