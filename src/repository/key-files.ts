import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from '../config/zod.ts';
import { signingKeyFromSeed } from '../core/ed25519.ts';
import { LifeboatError, type ErrorCode } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';
import type { Signer } from './record.ts';

/**
 * The two key files of a repository, JSON, mode 0600. The host's opens the index and signs snapshots, but opens no pack and
 * no manifest; the admin's signs what removes: forget, mark, done, pin.
 */
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const hostSchema = z.strictObject({
  version: z.literal(1),
  purpose: z.literal('lifeboat host key'),
  repo_id: z.string(),
  sign_seed: hex64,
  index_identity: z.string().regex(/^AGE-SECRET-KEY-1/),
  id_key: hex64,
});
const adminSchema = z.strictObject({
  version: z.literal(1),
  purpose: z.literal('lifeboat admin key'),
  repo_id: z.string(),
  sign_seed: hex64,
});

export interface HostKey {
  readonly signer: Signer;
  readonly indexIdentity: Secret;
  /** 32 bytes: blob ids and chunk boundaries depend on it. */
  readonly idKey: Uint8Array;
}

interface NewHostKey {
  readonly repositoryId: string;
  readonly signSeed: Uint8Array;
  readonly indexIdentity: Secret;
  readonly idKey: Uint8Array;
}

/** Errors: `repository-exists` when there is a file, `file-unwritable`. */
export async function writeHostKey(path: string, key: NewHostKey): Promise<void> {
  await writeKeyFile(path, {
    version: 1,
    purpose: 'lifeboat host key',
    repo_id: key.repositoryId,
    sign_seed: toHex(key.signSeed),
    index_identity: key.indexIdentity.reveal(),
    id_key: toHex(key.idKey),
  } satisfies z.infer<typeof hostSchema>);
}

export async function writeAdminKey(
  path: string,
  key: Pick<NewHostKey, 'repositoryId' | 'signSeed'>,
): Promise<void> {
  await writeKeyFile(path, {
    version: 1,
    purpose: 'lifeboat admin key',
    repo_id: key.repositoryId,
    sign_seed: toHex(key.signSeed),
  } satisfies z.infer<typeof adminSchema>);
}

/** Errors: `host-key-missing` (no file, not a host key, of another repository), `key-file-mode`. */
export async function readHostKey(
  path: string | undefined,
  repositoryId: string,
  publicKey: string,
): Promise<HostKey> {
  const file = await readKeyFile(path, hostSchema, 'host', repositoryId);
  return {
    signer: signerOf('host', file.sign_seed, publicKey, path),
    indexIdentity: new Secret(file.index_identity),
    idKey: fromHex(file.id_key),
  };
}

/** Errors: `admin-key-missing`, `key-file-mode`. */
export async function readAdminKey(
  path: string | undefined,
  repositoryId: string,
  publicKey: string,
): Promise<Signer> {
  const file = await readKeyFile(path, adminSchema, 'admin', repositoryId);
  return signerOf('admin', file.sign_seed, publicKey, path);
}

async function writeKeyFile(path: string, content: object): Promise<void> {
  await ensurePrivateDirectory(dirname(path));
  const result = await writeDurably(path, `${JSON.stringify(content, null, 2)}\n`, {
    mode: 0o600,
    exclusive: true,
  });
  if (result === 'created') return;
  throw new LifeboatError('repository-exists', `key file ${path} exists already`, {
    hint: 'Name another path, or move the file away: it may be the only key of another repository.',
    context: { file: path },
  });
}

type Role = Signer['role'];

async function readKeyFile<T extends { repo_id: string }>(
  path: string | undefined,
  schema: z.ZodType<T>,
  role: Role,
  repositoryId: string,
): Promise<T> {
  if (path === undefined) throw missingKey(role, `no ${role} key file was given`);
  const parsed = schema.safeParse(parseJson(await readPrivateFile(path, role)));
  if (!parsed.success) throw missingKey(role, `${path} is not a lifeboat ${role} key file`);
  if (parsed.data.repo_id !== repositoryId)
    throw missingKey(role, `${path} is the ${role} key of another repository`);
  return parsed.data;
}

const GROUP_OR_WORLD = 0o077;

async function readPrivateFile(path: string, role: Role): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw missingKey(role, `there is no ${role} key file ${path}`, error);
    throw new LifeboatError('file-unreadable', `cannot read ${role} key file ${path}`, {
      cause: error,
      context: { file: path },
    });
  });
  try {
    const { mode } = await file.stat();
    if ((mode & GROUP_OR_WORLD) !== 0) {
      throw new LifeboatError(
        'key-file-mode',
        `key file ${path} has mode ${(mode & 0o777).toString(8)}: others than its owner may use it`,
        {
          hint: `Run \`chmod 600 ${path}\`, and think about who could have read it.`,
          context: { file: path },
        },
      );
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function signerOf(role: Role, seed: string, publicKey: string, path: string | undefined): Signer {
  const key = signingKeyFromSeed(fromHex(seed));
  if (toHex(key.publicKey) !== publicKey)
    throw missingKey(role, `${path} does not hold the ${role} key that lifeboat.json names`);
  return { role, key };
}

const HINT: Readonly<Record<Role, string>> = {
  host: 'Backups run on the host where `lifeboat init` wrote the host key; name its file as repository.host_key_file.',
  admin:
    'Forget, pin, prune and changes of the recipients need the admin key; run them where it is kept, or name its file as repository.admin_key_file.',
};

function missingKey(role: Role, problem: string, cause?: unknown): LifeboatError {
  const code: ErrorCode = role === 'host' ? 'host-key-missing' : 'admin-key-missing';
  return new LifeboatError(code, problem, { cause, hint: HINT[role] });
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function fromHex(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex');
}
