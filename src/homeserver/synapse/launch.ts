import { readFile } from 'node:fs/promises';
import { LifeboatError } from '../../core/errors.ts';
import { fingerprint, parseSigningKeys } from './signing-key.ts';

export interface Launch {
  /** Python interpreter of the installation. */
  readonly program: string;
  /** All `-c` files in order; the overlay last. */
  readonly configFiles: readonly string[];
}

/**
 * Reads the configuration by Synapse's own code. Unlike a start it makes no missing key: without the file it says
 * "Error accessing file" and exits 1. -B: the installation may be read-only.
 */
export function configCheckArgv({ program, configFiles }: Launch): string[] {
  return [
    program,
    '-B',
    '-m',
    'synapse.config',
    'read',
    'server.server_name',
    ...configArguments(configFiles),
  ];
}

/** In the foreground. Synapse writes what is missing (keys, log configuration) at start: check the key first and last. */
export function startArgv({ program, configFiles }: Launch): string[] {
  return [program, '-B', '-m', 'synapse.app.homeserver', ...configArguments(configFiles)];
}

function configArguments(configFiles: readonly string[]): string[] {
  return configFiles.flatMap((file) => ['-c', file]);
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ConfigCheck {
  readonly ok: boolean;
  readonly serverName: string | undefined;
  /** What Synapse says is wrong with it. */
  readonly problem: string | undefined;
}

/** What `configCheckArgv` printed, understood. */
export function readConfigCheck({ exitCode, stdout, stderr }: Ended): ConfigCheck {
  const serverName = /^server\.server_name: (\S+)$/m.exec(stdout)?.[1];
  if (exitCode === 0 && serverName !== undefined) return { ok: true, serverName, problem: undefined };
  const lines = stderr.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  // A missing Python package is said before a traceback; otherwise the reason is the last thing said, after the warnings.
  const reason = lines.find((line) => line.endsWith('it is not installed')) ?? lines.at(-1);
  return { ok: false, serverName, problem: reason ?? `exit status ${exitCode}` };
}

/** When a started Synapse is ready: GET over plain HTTP on the client port. */
export const READINESS = { path: '/health', status: 200, body: 'OK' } as const;

/** A drill by another version would migrate the schema, or refuse it: it would not prove this snapshot. Errors: `drill-impossible`. */
export function verifyVersion(recorded: string, installed: string | undefined): void {
  if (recorded === installed) return;
  const found = installed === undefined ? 'no Synapse was found' : `Synapse ${installed} is installed`;
  throw new LifeboatError('drill-impossible', `the snapshot is of Synapse ${recorded}, but ${found}`, {
    hint: [
      `Install that version: python3 -m venv DIR && DIR/bin/pip install 'matrix-synapse[postgres]==${recorded}'`,
      'Name its DIR/bin/python with --program, or in lifeboat.yaml as homeserver.program.',
    ],
    context: { recorded, installed: installed ?? 'none' },
  });
}

/** Fingerprints of the keys in a file, to be taken before and after a start. Errors: `signing-key-missing`, `homeserver-config-invalid`. */
export async function keyFingerprints(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new LifeboatError('signing-key-missing', `there is no signing key at ${path}`, { cause: error });
  });
  return parseSigningKeys(text, path).map((key) => `${key.keyId} ${fingerprint(key)}`);
}

/** A start that replaced the key proves nothing about the old identity. Errors: `content-damaged`. */
export async function requireSameKeys(path: string, before: readonly string[]): Promise<void> {
  const after = await keyFingerprints(path);
  if (after.join() === before.join()) return;
  throw new LifeboatError('content-damaged', `the start changed the signing keys in ${path}`, {
    context: { before: before.join(', '), after: after.join(', ') },
  });
}
