import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { runCommand } from '../../exec/index.ts';

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

/** The given program or the first that has Synapse. Errors: `homeserver-config-invalid` when the given one has none. */
export async function findProgram(
  given: string | undefined,
  running: readonly string[],
  configDirectory: string,
): Promise<Program | undefined> {
  if (given !== undefined) {
    const version = await synapseVersion(given);
    if (version !== undefined) return { program: given, version };
    throw new LifeboatError('homeserver-config-invalid', `${given} cannot import synapse`, {
      hint: 'Name the Python interpreter of the virtual environment that Synapse is installed in.',
    });
  }
  const candidates = [...running, ...BESIDE_CONFIG.map((path) => join(configDirectory, path)), ...WELL_KNOWN];
  for (const program of new Set(candidates)) {
    const version = await synapseVersion(program);
    if (version !== undefined) return { program, version };
  }
  return undefined;
}

/** `undefined` when there is no such program, or no Synapse in it. */
export async function synapseVersion(program: string): Promise<string | undefined> {
  try {
    await access(program, constants.X_OK);
  } catch {
    return undefined;
  }
  // -B: discovery writes nothing, not even byte code. From `/`, so that no folder called `synapse` is imported instead.
  const { exitCode, stdout } = await runCommand(
    [program, '-B', '-c', 'import synapse; print(synapse.__version__)'],
    {
      cwd: '/',
      timeoutMs: IMPORT_TIMEOUT_MS,
      check: false,
    },
  );
  const version = stdout.trim();
  return exitCode === 0 && /^\d+\.\d+/.test(version) ? version : undefined;
}
