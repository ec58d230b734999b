import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { runCommand } from '../../exec/index.ts';
import { runnerOf, type Runner } from './trust.ts';

/** Interpreters that carry Synapse: Debian packages of matrix.org, of Debian itself, and the environments of Synapse's install guide. */
const WELL_KNOWN = ['/opt/venvs/matrix-synapse/bin/python', '/usr/bin/python3'];
const BESIDE_CONFIG = ['env/bin/python', 'venv/bin/python', '.venv/bin/python'];

/** Importing Synapse takes about a second; a loaded machine may need much longer. */
const IMPORT_TIMEOUT_MS = 60_000;

export interface Program {
  readonly program: string;
  /** `1.163.2` */
  readonly version: string;
}

export interface ProgramSearch {
  readonly found: Program | undefined;
  /** Programs that root must not start, and why. */
  readonly refused: readonly string[];
}

/** The given program or the first that has Synapse. Errors: `homeserver-config-invalid` when the given one has none. */
export async function findProgram(
  given: string | undefined,
  running: readonly string[],
  configDirectory: string,
): Promise<ProgramSearch> {
  if (given !== undefined) return { found: await requireSynapse(given), refused: [] };
  const candidates = [...running, ...BESIDE_CONFIG.map((path) => join(configDirectory, path)), ...WELL_KNOWN];
  const refused: string[] = [];
  for (const program of new Set(candidates)) {
    const runner = await runnerIfThere(program, false);
    if (runner === undefined) continue;
    if (!runner.allowed) {
      refused.push(
        `${program} was not started as root, because ${runner.reason}; name it as homeserver.program if it is right`,
      );
      continue;
    }
    const version = await askVersion(program, runner);
    if (version !== undefined) return { found: { program, version }, refused };
  }
  return { found: undefined, refused };
}

async function requireSynapse(program: string): Promise<Program> {
  const runner = await runnerIfThere(program, true);
  if (runner?.allowed === false) {
    throw new LifeboatError(
      'homeserver-config-invalid',
      `${program} is not started as root: ${runner.reason}`,
      {
        hint: 'Let it and all its directories belong to root or to the user that runs Synapse, writable by nobody else.',
      },
    );
  }
  const version = runner === undefined ? undefined : await askVersion(program, runner);
  if (version !== undefined) return { program, version };
  throw new LifeboatError('homeserver-config-invalid', `${program} cannot import synapse`, {
    hint: 'Name the Python interpreter of the virtual environment that Synapse is installed in.',
  });
}

/** Of the Synapse in a running container. Errors: `homeserver-config-invalid` when it cannot be asked, `command-missing`. */
export async function versionInContainer(container: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(
    ['docker', 'exec', container, 'python3', '-B', '-c', 'import synapse; print(synapse.__version__)'],
    { timeoutMs: IMPORT_TIMEOUT_MS, check: false },
  );
  const version = stdout.trim();
  if (exitCode === 0 && /^\d+\.\d+/.test(version)) return version;
  throw new LifeboatError(
    'homeserver-config-invalid',
    `the container ${container} does not tell the version of its Synapse: ${stderr.trim().split('\n').at(-1) ?? ''}`,
    { hint: 'Start the container, or correct homeserver.container in lifeboat.yaml.' },
  );
}

/** Of a program that was named or chosen before. `undefined` when there is none, no Synapse in it, or root must not start it. */
export async function synapseVersion(program: string): Promise<string | undefined> {
  const runner = await runnerIfThere(program, true);
  return runner?.allowed === true ? await askVersion(program, runner) : undefined;
}

async function runnerIfThere(program: string, named: boolean): Promise<Runner | undefined> {
  try {
    await access(program, constants.X_OK);
    return await runnerOf(program, { named });
  } catch {
    return undefined;
  }
}

/** `undefined` when there is no Synapse in it. */
async function askVersion(
  program: string,
  { uid, gid }: Extract<Runner, { allowed: true }>,
): Promise<string | undefined> {
  // -B: discovery writes nothing, not even byte code. From `/`, so that no folder called `synapse` is imported instead.
  const { exitCode, stdout } = await runCommand(
    [program, '-B', '-c', 'import synapse; print(synapse.__version__)'],
    {
      cwd: '/',
      timeoutMs: IMPORT_TIMEOUT_MS,
      check: false,
      // Of another user: not with the home directory of root.
      ...(uid === undefined ? {} : { uid, gid, env: { HOME: '/' } }),
    },
  );
  const version = stdout.trim();
  return exitCode === 0 && /^\d+\.\d+/.test(version) ? version : undefined;
}
