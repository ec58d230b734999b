import type { Config } from '../config/index.ts';
import { formatBytes } from '../core/units.ts';
import {
  clusterFacts,
  connect,
  databaseInfo,
  dumpDatabase,
  lockTables,
  measureWholeDatabase,
  otherDatabasesOfCluster,
} from '../database/index.ts';
import type { PostgresSession, PostgresTarget } from '../database/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { OtherDatabase } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';
import type { Attempt } from './instant.ts';

/** Each as the homeserver's, but for what lifeboat.yaml says. */
export function otherTargets(
  config: Config,
  main: PostgresTarget,
): { readonly label: string; readonly target: PostgresTarget }[] {
  return config.database.also.map(({ name, database, host, port, user, password }) => ({
    label: name,
    target: {
      ...main,
      database,
      host: host ?? main.host,
      port: port ?? main.port,
      user: user ?? main.user,
      // Another role does not have this one's password.
      password: password ?? (user === undefined || user === main.user ? main.password : undefined),
    },
  }));
}

export interface OtherDatabasesOptions {
  readonly writer: BackupWriter;
  readonly config: Config;
  readonly progress: Progress;
}

/**
 * One after the other, from the snapshots that were taken with the homeserver's; each is given back as soon as its dump is
 * stored. Errors: `database-dump-failed`.
 */
export async function backUpOtherDatabases(
  attempt: Attempt,
  main: PostgresTarget,
  options: OtherDatabasesOptions,
): Promise<OtherDatabase[]> {
  const databases: OtherDatabase[] = [];
  for (const [at, other] of otherTargets(options.config, main).entries())
    databases.push(await backUpOther(other, at, attempt, options));
  return databases;
}

async function backUpOther(
  { label, target }: { readonly label: string; readonly target: PostgresTarget },
  at: number,
  { others, walPositions, signal, lockWaitMs }: Attempt,
  { writer, config, progress }: OtherDatabasesOptions,
): Promise<OtherDatabase> {
  const snapshot = others[at]!;
  progress({ phase: 'database', message: `dumping ${label} and measuring its invariants` });
  // Measured and dumped under the same locks, so that both are of the same tables.
  const component = await snapshot.withoutLocks(async (session) => {
    await lockTables(session);
    const { sizeBytes: _, ...info } = await databaseInfo(session);
    const cluster = await clusterFacts(session);
    const measured = await measureWholeDatabase(session);
    const dump = await dumpDatabase(target, {
      snapshotId: snapshot.snapshotId,
      serverVersion: info.serverVersion,
      part: { name: label, section: undefined, only: undefined, without: [] },
      clientDirectory: config.database.clientDirectory,
      runId: writer.snapshotId.slice(0, 8),
      lockWaitMs,
      signal,
    });
    try {
      const content = await writer.addStream(dump.stream);
      return { info, cluster, measured, clientVersion: dump.clientVersion, content };
    } finally {
      await dump.ended;
    }
  });
  await snapshot[Symbol.asyncDispose]();
  const { info, cluster, measured, clientVersion, content } = component;
  return {
    label,
    engine: 'postgres',
    ...info,
    cluster,
    clientVersion,
    snapshotAt: snapshot.takenAt.toISOString(),
    walPosition: walPositions[at + 1]!,
    dumps: [{ name: `${label}.dump`, content }],
    excludedData: [],
    invariants: { ...measured, facts: {}, digests: {}, newestEventTs: null },
  };
}

/** Databases of the homeserver's cluster that nobody has decided about. */
export async function undecidedDatabases(config: Config, session: PostgresSession): Promise<string[]> {
  const { also, ignore } = config.database;
  const decided = new Set([...ignore, ...also.map(({ database }) => database)]);
  return (await otherDatabasesOfCluster(session))
    .filter(({ name }) => !decided.has(name))
    .map(
      ({ name, bytes }) =>
        `database ${name}${bytes === null ? '' : ` (${formatBytes(bytes)})`} of the same cluster is not backed up: ` +
        `if it belongs to the homeserver, name it in database.also of lifeboat.yaml, else in database.ignore`,
    );
}

export interface OtherDatabasePlan {
  readonly label: string;
  readonly name: string;
  readonly bytes: number;
  readonly serverVersion: string;
}

/** Connects to each. Errors: `database-*`. */
export async function planOtherDatabases(config: Config, main: PostgresTarget): Promise<OtherDatabasePlan[]> {
  const plans: OtherDatabasePlan[] = [];
  for (const { label, target } of otherTargets(config, main)) {
    await using session = await connect(target, { applicationName: 'lifeboat:plan' });
    const { name, sizeBytes, serverVersion } = await databaseInfo(session);
    plans.push({ label, name, bytes: sizeBytes, serverVersion });
  }
  return plans;
}
