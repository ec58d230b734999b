/**
 * One backup: discover, plan, then stream the components of one instant into the repository and commit.
 * Everything that reads the database does so inside one exported snapshot; media are copied after the dump, so that every
 * row of the snapshot has had its file written already (media are immutable, and Synapse writes the file before the row).
 */
import type { Config } from '../config/index.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import {
  clusterFacts,
  connect,
  databaseInfo,
  databaseWarnings,
  describeDumpClient,
  describeWay,
  openRecoverableSnapshot,
  openSnapshot,
  pgBackRest,
} from '../database/index.ts';
import type { KeptBackup, PhysicalEngine } from '../database/engine.ts';
import type { PostgresSession, PostgresTarget } from '../database/port.ts';
import { homeserverOf } from '../homeserver/index.ts';
import type { Homeserver, Inventory } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { DatabaseComponent, OtherDatabase } from '../repository/manifest.ts';
import type { BackupWriter, CommitResult, Repository } from '../repository/port.ts';
import { keepPhysically, recordPhysically } from './backup-physical.ts';
import { backUpArchives } from './backup-archives.ts';
import { backUpDatabase } from './backup-database.ts';
import { compareIdentity } from './compare-identity.ts';
import type { IdentityChange } from './identity-changes.ts';
import { inventoryOf, requireReadable } from './inventory.ts';
import { databaseHealth } from './database-health.ts';
import {
  captureInstant,
  Interrupted,
  reasonOf,
  Setbacks,
  type Attempt,
  type CaptureOptions,
  type Instant,
} from './instant.ts';
import { backUpAgreed, type Agreement } from './media/agreement.ts';
import { purgeBeforeBackup } from './maintenance/before-backup.ts';
import { seenMediaFile } from './run/state-name.ts';
import { mediaStrategy, type MediaStrategy } from './media/strategy.ts';
import {
  backUpOtherDatabases,
  otherTargets,
  planOtherDatabases,
  undecidedDatabases,
  type OtherDatabasePlan,
} from './backup-other-databases.ts';
import { requireSameSchema } from './same-schema.ts';
import { databaseTarget } from './sources.ts';

export interface BackupOptions {
  readonly config: Config;
  readonly repository: Repository;
  readonly tags: readonly string[];
  /** Compares all media rows with all files, whenever that was done last. */
  readonly compareMedia?: boolean | undefined;
  /** Rows that are gone since the last run are known to be: the alarm ends. */
  readonly acceptChanges?: boolean | undefined;
  /** So many media files, chosen at random, are read again at the source and compared with what was stored. */
  readonly sampleMedia?: number | undefined;
  /** Databases of at most so many bytes are dumped as one archive; for tests, 64 MiB otherwise. */
  readonly smallDatabaseBytes?: number | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** What a run would do; `--dry-run` prints it and stops. */
export interface BackupPlan {
  readonly serverName: string;
  readonly homeserver: string;
  readonly database: {
    readonly name: string;
    readonly bytes: number;
    readonly serverVersion: string;
    /** `docker container synapse-db` */
    readonly via?: string | undefined;
    /** `pg_dump 15.18 of this host`; only where it was looked for. */
    readonly client?: string | undefined;
  };
  readonly otherDatabases: readonly OtherDatabasePlan[];
  readonly mediaDirectory: string;
  readonly mediaClasses: readonly string[];
  readonly keyFiles: readonly string[];
  readonly configFiles: readonly string[];
  readonly warnings: readonly string[];
}

export interface BackupOutcome {
  readonly plan: BackupPlan;
  readonly commit: CommitResult;
  /** What backing up did to the server. */
  readonly warnings: readonly string[];
  /** Catalogue rows without a file and the like: the snapshot is good, but the admin should know (exit 3). */
  readonly omissions: readonly string[];
  readonly agreement: Agreement;
  /** Signing key, server name, secrets, schema: what is not as at the last backup, the loudest first. */
  readonly changes: readonly IdentityChange[];
}

export interface Sources {
  readonly kind: Homeserver;
  readonly inventory: Inventory;
  readonly version: string;
  readonly database: PostgresTarget;
  readonly media: MediaStrategy;
  /** When a backup begins: what cannot be reached is said at once, and is no accident that passes. */
  readonly otherDatabases?: readonly OtherDatabasePlan[];
}

/** Connects and looks, writes nothing. Errors: those of discovery, `database-*`, `server-name-mismatch`, `media-unreadable`. */
export async function planBackup(config: Config): Promise<BackupPlan> {
  const sources = await findSources(config);
  await requireReadable(sources.inventory);
  await using session = await connect(sources.database, { applicationName: 'lifeboat:plan' });
  await sources.kind.facts(session, sources.inventory);
  if (!config.media.allowMissing) await sources.media.requireThere(sources.kind.catalogue(session));
  const info = await databaseInfo(session);
  const others = await planOtherDatabases(config, sources.database);
  const plan = describe(config, sources, info, others, await undecidedDatabases(config, session));
  const { client, warnings } = await describeDumpClient(
    sources.database,
    info.serverVersion,
    config.database.clientDirectory,
  );
  return { ...plan, database: { ...plan.database, client }, warnings: [...plan.warnings, ...warnings] };
}

/** Errors: as `planBackup`, `database-dump-failed`, `disk-full`, `interrupted`; nothing is visible unless it resolves. */
export async function backup(options: BackupOptions): Promise<BackupOutcome> {
  const { config, progress } = options;
  progress({ phase: 'discover', message: 'reading the homeserver configuration' });
  const found = await findSources(config);
  await requireReadable(found.inventory);
  const sources = { ...found, otherDatabases: await planOtherDatabases(config, found.database) };
  const notPurged = await purgeBeforeBackup(config.maintenance, options);
  const setbacks = new Setbacks();
  for (let attempt = 1; ;) {
    try {
      const outcome = await backUpOnce(sources, setbacks, options);
      return { ...outcome, omissions: [...notPurged, ...outcome.omissions] };
    } catch (error) {
      if (error instanceof Interrupted) {
        // The media were being copied: what is stored stays, and all that was recorded is begun again.
        await setbacks.bear(error.cause, error.capture);
        continue;
      }
      if (attempt === PRUNE_ATTEMPTS || !isLifeboatError(error, 'locked')) throw error;
      attempt += 1;
      progress({ phase: 'commit', message: 'a prune came between; storing anew what it is about to delete' });
    }
  }
}

/** What a prune has marked while a backup leaned on it is stored again; most of the backup is there already. */
const PRUNE_ATTEMPTS = 3;

async function backUpOnce(
  sources: Sources,
  setbacks: Setbacks,
  options: BackupOptions,
): Promise<BackupOutcome> {
  const writer = await options.repository.startBackup();
  const capture: CaptureOptions = {
    target: sources.database,
    others: otherTargets(options.config, sources.database).map(({ target }) => target),
    runId: writer.snapshotId.slice(0, 8),
    patience: options.config.database,
    setbacks,
    progress: options.progress,
    signal: options.signal,
  };
  try {
    // Nothing but blobs is stored until the dump is whole, so that it can be begun again.
    const kept = await keepElsewhere(sources, options);
    const open = kept === undefined ? openSnapshot : openRecoverableSnapshot;
    await using instant = await captureInstant({ ...capture, open }, (attempt) =>
      readDatabase(sources, attempt, writer, options, kept),
    );
    return await backUpInstant(sources, instant, writer, options).catch(async (error: unknown) => {
      const reason = await reasonOf(instant.signal, options.signal, error);
      // By the guard; a reader that looks at the signal throws its reason as it is.
      const given = instant.signal.aborted && options.signal?.aborted !== true;
      throw given ? new Interrupted(reason, capture) : error;
    });
  } catch (error) {
    await writer.abort();
    if (options.signal?.aborted === true)
      throw new LifeboatError('interrupted', 'interrupted; nothing was committed', { cause: error });
    throw error;
  }
}

interface ReadDatabase {
  readonly plan: BackupPlan;
  readonly database: DatabaseComponent;
  readonly databases: readonly OtherDatabase[];
  /** Of collations and of pg_dump. */
  readonly warnings: readonly string[];
  readonly skewMs: number;
}

async function readDatabase(
  sources: Sources,
  attempt: Attempt,
  writer: BackupWriter,
  options: BackupOptions,
  kept: KeptElsewhere | undefined,
): Promise<ReadDatabase> {
  const { config, progress } = options;
  const { plan, cluster } = await attempt.snapshot.withoutLocks(async (session) => {
    if (!config.media.allowMissing) await sources.media.requireThere(sources.kind.catalogue(session));
    const undecided = await undecidedDatabases(config, session);
    return {
      plan: describe(config, sources, await databaseInfo(session), sources.otherDatabases ?? [], undecided),
      cluster: await clusterFacts(session),
    };
  });
  // Before the homeserver's, which takes longest: their snapshots hold back vacuum as long as they are open.
  const databases = await backUpOtherDatabases(attempt, sources.database, {
    config,
    progress: options.progress,
    writer,
  });
  const main =
    kept === undefined
      ? await backUpDatabase(sources, attempt, writer, options)
      : await recordPhysically(kept.engine, kept.backup, sources, attempt, progress);
  const database = { ...main, walPosition: attempt.walPositions[0]!, cluster };
  const warnings = [database, ...databases].flatMap(databaseWarnings);
  return {
    plan: { ...plan, warnings: [...plan.warnings, ...warnings] },
    database,
    databases,
    warnings,
    skewMs: attempt.skewMs,
  };
}

interface KeptElsewhere {
  readonly engine: PhysicalEngine;
  readonly backup: KeptBackup;
}

/** Where another tool keeps the database, its backup comes first. */
async function keepElsewhere(
  sources: Sources,
  { config, progress, signal }: BackupOptions,
): Promise<KeptElsewhere | undefined> {
  const { engine: which, pgbackrest } = config.database;
  if (which === 'dump' || pgbackrest === undefined) return undefined;
  const engine = pgBackRest(pgbackrest);
  const look = async (session: PostgresSession) => {
    if (!config.media.allowMissing) await sources.media.requireThere(sources.kind.catalogue(session));
  };
  return { engine, backup: await keepPhysically(engine, sources, look, { progress, signal }) };
}

async function backUpInstant(
  sources: Sources,
  instant: Instant<ReadDatabase>,
  writer: BackupWriter,
  options: BackupOptions,
): Promise<BackupOutcome> {
  const { config, progress } = options;
  const { snapshot, signal, value, capture } = instant;
  const { plan } = value;
  const database = { ...value.database, capture };
  const run = {
    catalogue: sources.kind.catalogue(snapshot.session, config.media.classes),
    classes: config.media.classes,
    writer,
    repositoryId: options.repository.id,
    seenFile: seenMediaFile(config.repository.stateDirectory, options.repository.id, config.file),
    compareEveryMs: options.compareMedia === true ? 0 : config.media.compareEveryMs,
    now: new Date(),
    progress,
    signal,
  };
  const media = await backUpAgreed(sources.media, run, {
    kind: sources.kind,
    session: snapshot.session,
    serverName: sources.inventory.serverName,
    sample: options.sampleMedia ?? 0,
  });
  const heldBack = await instant.release();
  const { warnings: leftOut, ...archives } = await backUpArchives(sources.inventory, writer, progress);
  await requireSameSchema(sources, database);
  const identity = await compareIdentity(
    {
      inventory: sources.inventory,
      homeserver: { kind: sources.kind.kind, version: sources.version },
      facts: database.invariants.facts,
    },
    config,
    options.repository.id,
  );
  const health = await databaseHealth({
    config,
    repositoryId: options.repository.id,
    kind: sources.kind,
    target: sources.database,
    invariants: database.invariants,
    snapshot: writer.snapshotId,
    acceptChanges: options.acceptChanges === true,
    progress,
    signal: options.signal,
  });
  progress({ phase: 'commit', message: 'writing index, manifest and log record' });
  options.signal?.throwIfAborted();
  const commit = await writer.commit(
    {
      homeserver: {
        kind: sources.kind.kind,
        version: sources.version,
        serverName: sources.inventory.serverName,
      },
      database,
      ...(value.databases.length === 0 ? {} : { databases: value.databases, skewMs: value.skewMs }),
      media: media.component,
      ...archives,
      warnings: [
        ...identity.changes.map(({ text }) => text),
        ...sources.inventory.warnings,
        ...sources.media.warnings,
        ...media.warnings,
        ...heldBack,
        ...value.warnings,
        ...health.alarms,
        ...leftOut,
      ],
    },
    [...new Set([...options.tags, ...health.tags])],
    media.requireKept,
  );
  const notRemembered = await identity.remember();
  const { unprotected } = commit;
  const omissions = [
    ...media.omissions,
    ...health.alarms,
    ...(await health.finish()),
    ...notRemembered,
    ...(unprotected === undefined ? [] : [`Object Lock was not extended: ${unprotected}`]),
  ];
  const warnings = [...heldBack, ...leftOut];
  return { plan, commit, warnings, omissions, agreement: media.agreement, changes: identity.changes };
}

/** Errors: as `planBackup`, without those of the database. */
export async function findSources(config: Config): Promise<Sources> {
  const kind = homeserverOf(config.homeserver.kind);
  const inventory = await inventoryOf(config);
  if (inventory.version === undefined) {
    throw new LifeboatError(
      'homeserver-config-invalid',
      `the version of ${kind.kind} could not be found out`,
      {
        hint: 'Name the Python interpreter of its installation in lifeboat.yaml as homeserver.program.',
      },
    );
  }
  const [database, media] = [databaseTarget(config, inventory), mediaStrategy(config, inventory)];
  return { kind, inventory, version: inventory.version, database, media };
}

function describe(
  config: Config,
  sources: Sources,
  info: { name: string; sizeBytes: number; serverVersion: string },
  otherDatabases: readonly OtherDatabasePlan[],
  undecided: readonly string[],
): BackupPlan {
  const { inventory } = sources;
  const filesOf = (component: 'keys' | 'config') =>
    inventory.files.filter((file) => file.component === component).map((file) => file.path);
  return {
    serverName: inventory.serverName,
    homeserver: `${sources.kind.kind} ${sources.version}`,
    database: {
      name: info.name,
      bytes: info.sizeBytes,
      serverVersion: info.serverVersion,
      via: sources.database.way === undefined ? undefined : describeWay(sources.database.way),
    },
    otherDatabases,
    mediaDirectory: sources.media.source,
    mediaClasses: config.media.classes,
    keyFiles: filesOf('keys'),
    configFiles: filesOf('config'),
    warnings: [...inventory.warnings, ...sources.media.warnings, ...undecided],
  };
}
