import type { Config } from '../config/index.ts';
import { allOrNone } from '../core/all-or-none.ts';
import {
  databaseInfo,
  defaultLanes,
  joinSnapshot,
  lockTables,
  measureInvariants,
  planDump,
  sequenceValues,
  tableSizes,
} from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Homeserver, Inventory } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { DatabaseComponent } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';
import { dumpInLanes } from './dump-lanes.ts';
import type { Attempt } from './instant.ts';

export interface DatabaseSource {
  readonly kind: Homeserver;
  readonly inventory: Inventory;
  readonly database: PostgresTarget;
}

export interface BackUpDatabaseOptions {
  readonly config: Config;
  /** Databases of at most so many bytes are dumped as one archive; for tests, 64 MiB otherwise. */
  readonly smallDatabaseBytes?: number | undefined;
  readonly progress: Progress;
}

/**
 * Everything of one snapshot: the lanes of the dump, and beside them the measuring of what a restore must have. All tables stay
 * locked as pg_dump locks them, from before the first lane until after the last, and no longer. Errors: `database-dump-failed`,
 * those of `kind.facts`.
 */
export async function backUpDatabase(
  { kind, inventory, database: target }: DatabaseSource,
  { snapshot, signal, lockWaitMs }: Attempt,
  writer: BackupWriter,
  { config, progress, smallDatabaseBytes }: BackUpDatabaseOptions,
): Promise<DatabaseComponent> {
  const { snapshotId, takenAt } = snapshot;
  const runId = writer.snapshotId.slice(0, 8);
  const excluded = kind.excludedTableData.map((name) => ({ schema: 'public', name }));
  const lanes = config.database.lanes ?? defaultLanes();
  return snapshot.withoutLocks(async (session) => {
    const info = await databaseInfo(session);
    await lockTables(session);
    const sequences = await sequenceValues(session);
    const plan = planDump(await tableSizes(session), { lanes, excluded, smallBytes: smallDatabaseBytes });
    progress({ phase: 'database', message: `dumping ${info.name} and measuring its invariants` });
    const [dumped, measured] = await allOrNone(signal, [
      (laneSignal, stop) =>
        dumpInLanes({
          target,
          plan,
          snapshotId,
          serverVersion: info.serverVersion,
          clientDirectory: config.database.clientDirectory,
          runId,
          lockWaitMs,
          writer,
          progress,
          signal: laneSignal,
          stop,
        }),
      async (laneSignal) => {
        const options = { runId, lockTimeoutMs: lockWaitMs, signal: laneSignal };
        await using beside = await joinSnapshot(target, snapshotId, options);
        const facts = await kind.facts(beside, inventory);
        return { ...(await measureInvariants(beside)), ...facts };
      },
    ]);
    return {
      engine: 'postgres',
      name: info.name,
      serverVersion: info.serverVersion,
      clientVersion: dumped.clientVersion,
      encoding: info.encoding,
      collate: info.collate,
      ctype: info.ctype,
      extensions: info.extensions,
      owner: info.owner,
      snapshotAt: takenAt.toISOString(),
      dumps: dumped.dumps,
      excludedData: kind.excludedTableData,
      invariants: { ...measured, sequences },
    };
  });
}
