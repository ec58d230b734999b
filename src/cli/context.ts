import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { findConfig, loadConfig, resolvePlace, type Config } from '../config/index.ts';
import type { Clock } from '../core/clock.ts';
import { isLifeboatError } from '../core/errors.ts';
import { copyPlace, onlyReadable } from '../jobs/copies.ts';
import { openAt, type RepositoryPlace } from '../jobs/open.ts';
import type { Repository } from '../repository/port.ts';
import type { GlobalFlags } from './flags.ts';
import type { Output } from './output.ts';

/** What every command gets. Configuration and repository are read when they are asked for: `--help` needs neither. */
export interface CommandContext {
  readonly flags: GlobalFlags;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly output: Output;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Flags win over `LIFEBOAT_*`, which win over the file. Errors: `config-*`, `secret-unreadable`. */
  config(): Promise<Config>;
  /** Undefined when none is named and none lies in the usual places. */
  configIfAny(): Promise<Config | undefined>;
  /** Where the repository lies, or is to lie. Errors: as `config`. */
  place(): Promise<RepositoryPlace>;
  /** With --repository no configuration is needed. Errors: as `openAt`. */
  repository(): Promise<Repository>;
  /** Another command line, run in this process; what it prints comes back. For the demo. */
  runCommandLine(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<CommandLineResult>;
  /** What a person types; undefined when nobody is there to be asked. */
  ask(question: string): Promise<string | undefined>;
}

export interface CommandLineResult {
  readonly exitStatus: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function createContext(
  base: Omit<CommandContext, 'config' | 'configIfAny' | 'place' | 'repository'>,
): CommandContext {
  const { flags, env, clock } = base;
  let loaded: Promise<Config> | undefined;
  const config = () => (loaded ??= readConfig(flags, env));
  const configIfAny = async () => {
    const named = flags.config !== undefined || (env['LIFEBOAT_CONFIG'] ?? '') !== '';
    return await config().catch((error: unknown) => {
      if (named || !isLifeboatError(error, 'config-missing')) throw error;
      return undefined;
    });
  };
  const place = async () =>
    (await configIfAny())?.repository ?? placeWithoutConfig(flags, env) ?? (await config()).repository;
  const open = async () => {
    const opened = await openAt(await place(), clock);
    return flags.copy === undefined ? opened : onlyReadable(opened, flags.copy);
  };
  let opening: Promise<Repository> | undefined;
  const repository = () => (opening ??= open());
  return { ...base, config, configIfAny, place, repository };
}

async function readConfig(flags: GlobalFlags, env: NodeJS.ProcessEnv): Promise<Config> {
  const config = await loadConfig(findConfig(flags.config, env), env);
  const place = flags.copy === undefined ? config.repository : copyPlace(config.repository, flags.copy);
  return {
    ...config,
    repository: {
      ...place,
      path: flags.repository === undefined ? place.path : resolvePlace('.', flags.repository),
      identityFile: flags.identity === undefined ? place.identityFile : resolve(flags.identity),
    },
  };
}

/** On a machine that only restores or looks, there is no lifeboat.yaml: the repository and an identity are enough. */
function placeWithoutConfig(flags: GlobalFlags, env: NodeJS.ProcessEnv): RepositoryPlace | undefined {
  const path = flags.repository ?? env['LIFEBOAT_REPOSITORY'] ?? '';
  if (path === '') return undefined;
  const identity = flags.identity ?? env['LIFEBOAT_IDENTITY_FILE'] ?? '';
  return {
    path: resolvePlace('.', path),
    identityFile: identity === '' ? undefined : resolve(identity),
    stateDirectory: join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'lifeboat'),
  };
}
