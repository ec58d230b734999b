import { randomBytes } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import type { Clock } from '../core/clock.ts';
import { newSeed, signingKeyFromSeed } from '../core/ed25519.ts';
import { LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { encodeConfig, FORMAT, type RepositoryConfig } from './config-file.ts';
import { putDataKey } from './data-key.ts';
import { putIdKey } from './id-key.ts';
import { writeAdminKey, writeHostKey } from './key-files.ts';
import { CONFIG_KEY, LOG_PREFIX, logKey, sha256Hex } from './object-names.ts';
import { encodeRecord, FIRST_PREVIOUS } from './record.ts';
import { requireRecipients } from './recipient.ts';
import { recoveryKit } from './recovery-kit.ts';
import { generateIdentity } from './seal.ts';

const MIB = 1024 * 1024;

export interface CreateRepositoryOptions {
  /** Recovery recipients (`age1...`). None: a first identity is made, returned, and kept nowhere. */
  readonly recipients?: readonly string[];
  /** Path on this host, 0600. */
  readonly hostKeyFile: string;
  /** Simple mode: a path on this host, so that nightly prune works. Hardened mode: a path that leaves the host afterwards. */
  readonly adminKeyFile: string;
  readonly clock: Clock;
  readonly version: string;
}

export interface CreatedRepository {
  readonly repositoryId: string;
  readonly recipients: readonly string[];
  /** To be shown once and kept offline; undefined when recipients were given. */
  readonly recoveryIdentity: Secret | undefined;
  readonly hostKeyFile: string;
  readonly adminKeyFile: string;
}

/**
 * Makes an empty repository: key files, data key, id key, recovery kit, then lifeboat.json, which decides between two that race, and the
 * first log record. What it created is taken back when it fails.
 * Errors: `repository-exists`, `recipient-invalid`, `usage` (a store that cannot create only).
 */
export async function createRepository(
  store: ObjectStore,
  options: CreateRepositoryOptions,
): Promise<CreatedRepository> {
  const cas = store.capabilities.createOnly;
  if (cas === 'none') {
    throw new LifeboatError(
      'usage',
      `${store.location} cannot create objects exclusively: two writers would overwrite each other`,
      {
        hint: 'Use a store with conditional writes.',
      },
    );
  }
  await refuseExisting(store);
  const repositoryId = randomBytes(16).toString('hex');
  const given = options.recipients ?? [];
  const generated = given.length === 0 ? await generateIdentity() : undefined;
  const recipients = generated === undefined ? given : [generated.recipient];
  await requireRecipients(recipients);
  const data = await generateIdentity();
  const index = await generateIdentity();
  const idKey = randomBytes(32);
  const hostSeed = newSeed();
  const adminSeed = newSeed();
  const admin = signingKeyFromSeed(adminSeed);
  const undo: (() => Promise<void>)[] = [];

  try {
    await writeHostKey(options.hostKeyFile, {
      repositoryId,
      signSeed: hostSeed,
      indexIdentity: index.identity,
      idKey,
    });
    undo.push(() => unlink(options.hostKeyFile));
    await writeAdminKey(options.adminKeyFile, { repositoryId, signSeed: adminSeed });
    undo.push(() => unlink(options.adminKeyFile));

    const dataKeyObject = await putDataKey(store, data, recipients);
    undo.push(() => store.delete(dataKeyObject));
    const idKeyObject = await putIdKey(store, idKey, data.recipient);
    undo.push(() => store.delete(idKeyObject));
    const kit = await recoveryKit();
    for (const [key, bytes] of Object.entries(kit)) await putPlain(store, key, bytes);

    const config: RepositoryConfig = {
      format: FORMAT,
      lifeboat_version: options.version,
      requires: [],
      repo_id: repositoryId,
      created: options.clock.now().toISOString(),
      recipients: [...recipients],
      data_recipient: data.recipient,
      index_recipient: index.recipient,
      host_pub: hex(signingKeyFromSeed(hostSeed).publicKey),
      admin_pub: hex(admin.publicKey),
      id_algo: 'hmac-sha256',
      chunk: {
        stream: { algo: 'gear-v1' },
        file: { algo: 'fixed', whole_bytes: 8 * MIB, piece_bytes: 4 * MIB },
      },
      data_key_object: dataKeyObject,
      id_key_object: idKeyObject,
      recovery_kit: Object.fromEntries(Object.entries(kit).map(([key, bytes]) => [key, sha256Hex(bytes)])),
      cas,
    };
    const configBytes = encodeConfig(config);
    if ((await store.put(CONFIG_KEY, configBytes)) === 'exists') throw existing(store, CONFIG_KEY);
    undo.push(() => store.delete(CONFIG_KEY));

    const place = {
      repositoryId,
      configSha256: sha256Hex(configBytes),
      seq: 1,
      previousSha256: FIRST_PREVIOUS,
      publicKeys: { host: signingKeyFromSeed(hostSeed).publicKey, admin: admin.publicKey },
    };
    const record = encodeRecord({ type: 'init' }, place, { role: 'admin', key: admin }, options.clock.now());
    if ((await store.put(logKey(1), record)) === 'exists') throw existing(store, logKey(1));
  } catch (error) {
    for (const step of undo.toReversed()) await step().catch(() => {});
    throw error;
  }
  const { hostKeyFile, adminKeyFile } = options;
  return { repositoryId, recipients, recoveryIdentity: generated?.identity, hostKeyFile, adminKeyFile };
}

async function refuseExisting(store: ObjectStore): Promise<void> {
  if ((await store.stat(CONFIG_KEY)) !== undefined) throw existing(store, CONFIG_KEY);
  for await (const { key } of store.list(LOG_PREFIX)) throw existing(store, key);
}

/** The same file of an `init` that was interrupted does not stand in the way. */
async function putPlain(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  if ((await store.put(key, bytes)) === 'created') return;
  if (sha256Hex(await store.get(key)) !== sha256Hex(bytes)) throw existing(store, key);
}

function existing(store: ObjectStore, key: string): LifeboatError {
  return new LifeboatError(
    'repository-exists',
    `${store.location} holds a repository already: there is ${key}`,
    {
      hint: 'Use it, or name an empty place for the new one.',
      context: { object: key },
    },
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
