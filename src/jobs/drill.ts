/**
 * A drill: bring a snapshot to life where it can hurt nobody, and ask it everything that other servers would ask.
 * The environment is destroyed in every case; what remains is the report.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { realpath, writeFile } from 'node:fs/promises';
import type { Config } from '../config/index.ts';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { connect, pgBackRest } from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import {
  createDrillCa,
  createProcessEnvironment,
  restoredPlace,
  type DrillCa,
} from '../environment/index.ts';
import type { Environment } from '../environment/port.ts';
import { runCommand } from '../exec/index.ts';
import { defang } from '../homeserver/index.ts';
import type { Progress } from '../observe/index.ts';
import { runChecklist } from '../restore/checklist.ts';
import type { RestoreContext, RestoreTarget } from '../restore/context.ts';
import type { RestoreSource } from '../restore/source.ts';
import type { Check, Step, StepId } from '../restore/step.ts';
import { restoreDatabaseStep } from '../restore/steps/restore-database.ts';
import { restoreMediaStep } from '../restore/steps/restore-media.ts';
import { restoreSigningKeysStep } from '../restore/steps/restore-signing-keys.ts';
import { startServicesStep } from '../restore/steps/start-services.ts';
import { verifyConfigurationStep } from '../restore/steps/verify-configuration.ts';
import { federationStep, type FederationStepOptions } from '../verify/federation-step.ts';
import type { DrillReport } from '../verify/report/model.ts';
import { storedEventsChecks } from '../verify/stored-events-check.ts';
import { drillNames, type DrillNames } from './drill-names.ts';
import { restoreCluster } from './restore-cluster.ts';
import { drillReport } from './drill-report.ts';

export interface DrillOptions {
  readonly source: RestoreSource;
  /** Interpreter of a homeserver of the snapshot's version. */
  readonly program: string;
  readonly settings: Config['drill'];
  readonly clientDirectory: string | undefined;
  /** Keeps the database of snapshots that were taken with it. */
  readonly pgbackrest?: Config['database']['pgbackrest'];
  /** Leave the directory, for who wants to look at logs. */
  readonly keep: boolean;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly onCheck?: ((step: StepId, check: Check) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For tests of the drill itself: steps that damage what they restored. */
  readonly alterSteps?:
    ((steps: readonly Step<RestoreContext>[]) => readonly Step<RestoreContext>[]) | undefined;
  /** For tests: the sealed environment before anything is restored. */
  readonly onPrepared?: ((environment: Environment) => Promise<void>) | undefined;
  /** A look into the environment before it is destroyed: for its logs. */
  readonly onRunning?: ((environment: Environment) => Promise<void>) | undefined;
}

const READY_TIMEOUT_MS = 120_000;
const DATABASE_OWNER = 'lifeboat_restored';

/** Errors: `drill-impossible`, `not-sealed`, `interrupted`; a drill that ran always ends in a report, PASS or FAIL. */
export async function drill(options: DrillOptions): Promise<DrillReport> {
  const { source, settings, clock, progress } = options;
  const signal = AbortSignal.any([
    AbortSignal.timeout(settings.timeoutMs),
    ...(options.signal === undefined ? [] : [options.signal]),
  ]);
  const startedAt = clock.now();
  const names = drillNames(source.serverName);
  progress({ phase: 'environment', message: 'making a sealed environment' });
  const environment = await createProcessEnvironment({
    workDirectory: settings.workDirectory,
    postgresDirectory: settings.postgresDirectory,
    readOnlyPaths: await installationOf(options.program),
    hostNames: names.hostNames,
    srv: names.srv,
    keepDirectory: options.keep,
  });
  const destroyed = onAbort(signal, () => environment.destroy());
  try {
    await environment.prepare();
    // Once more, for the report: `prepare` has refused an environment that is not sealed.
    const escapes = await environment.attemptEscape();
    await options.onPrepared?.(environment);
    const secrets = {
      ca: await createDrillCa(),
      registrationSecret: new Secret(randomBytes(24).toString('hex')),
    };
    const context = await prepareContext(environment, names, secrets, options, signal);
    // What our own attempts to leave have left behind.
    const before = { lookups: await environment.strayLookups(), attempts: await environment.attempts() };
    const steps = stepsOf(environment, names, secrets, options, before);
    const results = await runChecklist(options.alterSteps?.(steps) ?? steps, context, {
      clock,
      progress,
      onCheck: options.onCheck,
      signal,
      stopAtFailure: false,
      furtherChecks: { 'restore-signing-keys': storedEventsChecks },
    });
    await options.onRunning?.(environment);
    const outsidePackets = await environment.outsidePackets();
    return drillReport({
      source,
      environment,
      escapes,
      outsidePackets,
      steps: results,
      found: context.found,
      startedAt,
      finishedAt: clock.now(),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    if (options.signal?.aborted === true)
      throw new LifeboatError('interrupted', 'the drill was interrupted; its environment is removed', {
        cause: error,
      });
    throw new LifeboatError('drill-impossible', `the drill took longer than ${settings.timeoutMs} ms`, {
      hint: 'Raise drill.timeout in lifeboat.yaml.',
      cause: error,
    });
  } finally {
    destroyed.cancel();
    progress({ phase: 'environment', message: 'removing the sealed environment' });
    await environment.destroy();
  }
}

/** A request that hangs inside must not hold up an interrupted drill: without the environment everything fails at once. */
function onAbort(signal: AbortSignal, act: () => Promise<void>): { cancel: () => void } {
  const listener = () => void act().catch(() => undefined);
  signal.addEventListener('abort', listener, { once: true });
  return { cancel: () => signal.removeEventListener('abort', listener) };
}

/** The virtual environment of an interpreter, and what it is based on: both must be visible inside. */
async function installationOf(program: string): Promise<string[]> {
  const { stdout } = await runCommand(
    [program, '-c', 'import sys; print(sys.prefix); print(sys.base_prefix)'],
    { check: true },
  );
  const paths = [
    ...stdout.trim().split('\n'),
    dirname(dirname(program)),
    dirname(dirname(await realpath(program))),
  ];
  return [...new Set(paths)].filter((path) => path !== '/' && path !== '/usr');
}

/** Made for this drill, and gone with it. */
interface DrillSecrets {
  readonly ca: DrillCa;
  readonly registrationSecret: Secret;
}

async function prepareContext(
  environment: Environment,
  names: DrillNames,
  { ca, registrationSecret }: DrillSecrets,
  options: DrillOptions,
  signal: AbortSignal,
): Promise<RestoreContext> {
  const { source, clock, progress } = options;
  const { directory } = environment;
  const admin =
    source.physical === undefined ? await emptyCluster(environment, progress) : restoredPlace(directory);
  const target: RestoreTarget = {
    directory,
    database: { ...admin, user: DATABASE_OWNER, database: source.physical?.database ?? 'restored' },
    admin: source.physical === undefined ? admin : undefined,
    mediaDirectory: join(directory, 'media_store'),
    keysDirectory: join(directory, 'keys'),
    configDirectory: join(directory, 'config'),
    clientDirectory: options.clientDirectory,
    sealed: true,
  };
  const certificate = await writeCertificate(environment, ca, names);
  return {
    source,
    target,
    clock,
    progress,
    signal,
    program: options.program,
    exec: (command) => environment.exec(command),
    handOver: (path) => environment.handOver(path),
    restoreCluster: () =>
      restoreCluster({
        ...options,
        engine: options.pgbackrest === undefined ? undefined : pgBackRest(options.pgbackrest),
        environment,
        owner: DATABASE_OWNER,
        timeoutMs: options.settings.timeoutMs,
        signal,
      }),
    arrange: ({ merged, signingKeyPath, placed }) => {
      const { yaml, logConfig, changes } = defang(
        { merged },
        {
          directory,
          home: environment.home,
          databaseTarget: target.database,
          signingKeyPath,
          mediaStorePath: target.mediaDirectory,
          clientPort: names.clientPort,
          federationPort: names.federationPort,
          ...certificate,
          probeNames: [names.probe, names.peer],
          registrationSecret,
          placedSecrets: placed,
        },
      );
      return { overlay: yaml, files: [{ path: logConfig.path, text: logConfig.yaml }], changes };
    },
    found: {},
  };
}

async function emptyCluster(environment: Environment, progress: Progress): Promise<PostgresTarget> {
  progress({ phase: 'environment', message: 'starting PostgreSQL inside' });
  const admin = await environment.postgres();
  await using session = await connect(admin, { applicationName: 'lifeboat:prepare' });
  // No superuser: code in a hostile dump runs as this role.
  await session.query(`CREATE ROLE ${DATABASE_OWNER} LOGIN`);
  return admin;
}

async function writeCertificate(
  environment: Environment,
  ca: DrillCa,
  names: DrillNames,
): Promise<{ tlsCert: string; tlsKey: string; caFile: string }> {
  const { certificatePem, keyPem } = await ca.issue([names.host]);
  const files = { tlsCert: certificatePem, tlsKey: keyPem, caFile: ca.certificatePem };
  const paths = { tlsCert: 'tls.crt', tlsKey: 'tls.key', caFile: 'ca.crt' };
  for (const [name, text] of Object.entries(files)) {
    const path = join(environment.directory, paths[name as keyof typeof paths]);
    await writeFile(path, text, { mode: 0o600 });
    await environment.handOver(path);
  }
  const at = (name: string) => join(environment.directory, name);
  return { tlsCert: at(paths.tlsCert), tlsKey: at(paths.tlsKey), caFile: at(paths.caFile) };
}

function stepsOf(
  environment: Environment,
  names: DrillNames,
  secrets: DrillSecrets,
  options: DrillOptions,
  before: FederationStepOptions['before'],
): Step<RestoreContext>[] {
  const connectClient = () => environment.connect(names.clientPort);
  return [
    restoreDatabaseStep,
    restoreMediaStep,
    restoreSigningKeysStep,
    verifyConfigurationStep,
    startServicesStep({
      run: (name, argv) => environment.run(name, { argv }),
      connectClient,
      readyTimeoutMs: READY_TIMEOUT_MS,
    }),
    federationStep({
      connectClient,
      connectFederation: () => environment.connect(names.federationPort),
      listen: (port, onConnection) => environment.listen(port, onConnection),
      probe: { name: names.probe, port: names.probePort },
      ...secrets,
      peer: options.settings.peer
        ? {
            environment,
            program: options.program,
            name: names.peer,
            port: names.peerPort,
            clientPort: names.peerClientPort,
            ...secrets,
            connectClient,
          }
        : undefined,
      delegation: names.delegated ? names : undefined,
      before,
      strayLookups: () => environment.strayLookups(),
      attempts: () => environment.attempts(),
      outsidePackets: () => environment.outsidePackets(),
    }),
  ];
}
