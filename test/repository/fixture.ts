import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { systemClock } from '../../src/core/clock.ts';
import type { Secret } from '../../src/core/secret.ts';
import { decodeConfig } from '../../src/repository/config-file.ts';
import { readDataKey } from '../../src/repository/data-key.ts';
import { createRepository } from '../../src/repository/init.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import type { BackupWriter, CommitResult, Repository } from '../../src/repository/port.ts';
import { openRepository, type OpenRepositoryOptions } from '../../src/repository/repository.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import type { ObjectStore } from '../../src/storage/port.ts';

/** A repository in a temporary folder, with everything that opens it. */
export interface Fixture extends AsyncDisposable {
  readonly directory: string;
  readonly root: string;
  readonly store: ObjectStore;
  readonly identity: Secret;
  readonly repositoryId: string;
  open(options?: Partial<OpenRepositoryOptions>, store?: ObjectStore): Promise<Repository>;
}

const PACK_BYTES = 64 * 1024;

export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'lifeboat-repository-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** In a folder, or in a store of another kind; then `root` means nothing. */
export async function makeRepository(place?: string, elsewhere?: ObjectStore): Promise<Fixture> {
  const folder = await temporaryFolder();
  const directory = folder.path;
  const root = place ?? join(directory, 'repository');
  const store = elsewhere ?? (await openLocalStore(root));
  const created = await createRepository(store, {
    hostKeyFile: join(directory, 'host.key'),
    adminKeyFile: join(directory, 'admin.key'),
    clock: systemClock,
    version: '0.1.0',
  });
  const identity = created.recoveryIdentity!;
  return {
    directory,
    root,
    store,
    identity,
    repositoryId: created.repositoryId,
    open: (options = {}, other = store) =>
      openRepository(other, { ...openOptions(directory), identities: [identity], ...options }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export function openOptions(directory: string): OpenRepositoryOptions {
  return {
    hostKeyFile: join(directory, 'host.key'),
    adminKeyFile: join(directory, 'admin.key'),
    stateDirectory: join(directory, 'state'),
    clock: systemClock,
    hostname: 'backup.example',
    version: '0.1.0',
    packTargetBytes: PACK_BYTES,
  };
}

/** The secret that opens all contents, which lies in clear nowhere. */
export async function dataIdentityOf({ store, identity }: Fixture): Promise<Secret> {
  const config = decodeConfig(await store.get('lifeboat.json'), store.location);
  return (await readDataKey(store, config.data_key_object, config.data_recipient, [identity])).identity;
}

export interface Source {
  readonly dump: Uint8Array;
  /** Path -> content. */
  readonly media: Readonly<Record<string, Uint8Array>>;
  readonly signingKey: string;
}

export function sampleSource(seed = 'a'): Source {
  return {
    dump: Buffer.concat([Buffer.from(`PGDMP ${seed}`), randomBytes(300_000)]),
    media: {
      'local_content/aa/bb/one': randomBytes(20_000),
      'local_content/aa/bb/same as one': Buffer.from('shared content'),
      'local_content/cc/dd/same': Buffer.from('shared content'),
      'local_content/ee/empty': Buffer.alloc(0),
    },
    signingKey: `ed25519 a_${seed} AAAA\n`,
  };
}

/** The same bytes for the same seed, also in another process. */
export function seededSource(seed: string): Source {
  const bytes = (name: string, outputLength: number) =>
    createHash('shake256', { outputLength }).update(seed).update(name).digest();
  return {
    dump: bytes('dump', 250_000),
    media: { 'local_content/aa': bytes('aa', 30_000), 'local_content/bb': bytes('bb', 100) },
    signingKey: `ed25519 a ${seed}\n`,
  };
}

/** A whole backup; `beforeCommit` may interfere. */
export async function backUp(
  repository: Repository,
  source: Source,
  beforeCommit?: () => Promise<void>,
): Promise<CommitResult> {
  const writer = await repository.startBackup();
  const parts = await writeSource(writer, source);
  await beforeCommit?.();
  return writer.commit(parts, ['test']);
}

export async function writeSource(
  writer: BackupWriter,
  source: Source,
): Promise<Parameters<BackupWriter['commit']>[0]> {
  const content = await writer.addStream(Readable.from([source.dump]));
  let bytes = 0;
  for (const [path, body] of Object.entries(source.media).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const stored = await writer.addFile(Readable.from([body]), body.length);
    bytes += body.length;
    await writer.addMedia({ path, mediaClass: 'local_content', ...stored });
  }
  const keys = await writer.addArchive([
    {
      path: 'etc/example.signing.key',
      source: '/etc/example.signing.key',
      role: 'signing-key',
      mode: 0o600,
      body: Buffer.from(source.signingKey),
    },
  ]);
  const config = await writer.addArchive([
    {
      path: 'etc/homeserver.yaml',
      source: '/etc/homeserver.yaml',
      role: 'homeserver-config',
      mode: 0o640,
      body: Buffer.from('server_name: example.com\n'),
    },
  ]);
  return manifestParts({
    dumps: [{ name: 'all.dump', content }],
    files: Object.keys(source.media).length,
    bytes,
    keys,
    config,
  });
}

interface PartsOptions {
  readonly dumps: Manifest['database']['dumps'];
  readonly files: number;
  readonly bytes: number;
  readonly keys: Manifest['keys']['archive'];
  readonly config: Manifest['config']['archive'];
}

function manifestParts({
  dumps,
  files,
  bytes,
  keys,
  config,
}: PartsOptions): Parameters<BackupWriter['commit']>[0] {
  return {
    homeserver: { kind: 'synapse', version: '1.163.2', serverName: 'example.com' },
    database: {
      engine: 'postgres',
      name: 'synapse',
      serverVersion: '15.20',
      clientVersion: '15.20',
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      extensions: [],
      owner: 'synapse',
      snapshotAt: '2026-11-23T12:00:00.000Z',
      dumps,
      excludedData: ['e2e_one_time_keys_json'],
      invariants: {
        tableRows: { events: 3 },
        sequences: {},
        indexes: [],
        constraints: [],
        triggers: [],
        facts: {},
        digests: {},
        newestEventTs: null,
      },
    },
    media: {
      strategy: 'repository',
      files,
      bytes,
      missing: [],
      missingCount: 0,
      orphans: [],
      orphanCount: 0,
      comparedAt: '2026-01-01T00:00:00.000Z',
    },
    keys: { archive: keys, public: [{ keyId: 'ed25519:a', publicKey: 'AAAA' }], oldSigningKeys: '' },
    config: { archive: config, secrets: [] },
    warnings: [],
  };
}

/** Everything of a snapshot, read back. */
export async function readBack(repository: Repository, snapshotId: string): Promise<Source> {
  const manifest = await repository.manifest(snapshotId);
  const dump = await bytesOf(repository.read(manifest.database.dumps[0]!.content));
  const media: Record<string, Uint8Array> = {};
  for await (const file of repository.mediaFiles(snapshotId))
    media[file.path] = await bytesOf(repository.read(file));
  const tar = await bytesOf(repository.readArchive(manifest.keys.archive));
  return {
    dump,
    media,
    signingKey: tar.subarray(512, 512 + manifest.keys.archive.files[0]!.sizeBytes).toString(),
  };
}

export async function bytesOf(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
