import type { Clock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { checkRepository } from './check.ts';
import { addRecipients, removeRecipients } from './change-recipients.ts';
import { decodeConfig } from './config-file.ts';
import { readAdminKey, readHostKey } from './key-files.ts';
import { loadKnownBlobs } from './known-blobs.ts';
import { resolveSnapshot, stateOf } from './log-state.ts';
import { openLog } from './log.ts';
import { distrustedPath, readDistrusted, rememberDistrusted } from './distrusted.ts';
import { CONFIG_KEY, sha256Hex } from './object-names.ts';
import { damagedObject, getNamed } from './objects.ts';
import type { DataKey } from './data-key.ts';
import type { Repository } from './port.ts';
import { prune, requireMayDelete } from './prune.ts';
import { createReader } from './reader.ts';
import type { RecordOf, Signer } from './record.ts';
import { repairIndex } from './repair-index.ts';
import { openDataKey, recoveryKeys } from './recovery-keys.ts';
import { savedHeadPath } from './saved-head.ts';
import { createBackupWriter } from './writer.ts';

export interface OpenRepositoryOptions {
  /** Needed by `startBackup`; read when it is needed. */
  readonly hostKeyFile?: string | undefined;
  /** Needed by `forget`, `pin` and `prune`. */
  readonly adminKeyFile?: string | undefined;
  /** Recovery identities (`AGE-SECRET-KEY-...`): needed to read packs and manifests. */
  readonly identities?: readonly Secret[] | undefined;
  /** Where this machine remembers the newest record it has seen. */
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly hostname: string;
  readonly version: string;
  /** Bytes of a pack before it is sealed; at random between 24 and 40 MiB when not given. */
  readonly packTargetBytes?: number | undefined;
}

/** Errors: `repository-missing`, `repository-version`, `repository-damaged` (lifeboat.json). */
export async function openRepository(
  store: ObjectStore,
  options: OpenRepositoryOptions,
): Promise<Repository> {
  const configBytes = await store.get(CONFIG_KEY).catch((error: unknown) => {
    throw isLifeboatError(error, 'object-missing') ? missingRepository(store, error) : error;
  });
  const config = decodeConfig(configBytes, store.location);
  const { clock } = options;
  const identities = options.identities ?? [];
  const log = openLog({
    store,
    repositoryId: config.repo_id,
    configSha256: sha256Hex(configBytes),
    publicKeys: { host: fromHex(config.host_pub), admin: fromHex(config.admin_pub) },
    savedHeadPath: savedHeadPath(options.stateDirectory, config.repo_id),
    clock,
  });
  const distrusted = distrustedPath(options.stateDirectory, config.repo_id);
  const hostKey = () => readHostKey(options.hostKeyFile, config.repo_id, config.host_pub);
  const adminSigner = () => readAdminKey(options.adminKeyFile, config.repo_id, config.admin_pub);

  /** The state after everything that is in the store now. */
  const current = async () => {
    await log.refresh();
    // Whoever only reads remembers too, but must not fail because it cannot.
    await log.saveHead().catch(() => {});
    return stateOf(log.entries);
  };
  let opened: Promise<DataKey> | undefined;
  const dataKey = (): Promise<DataKey> => {
    const opening = (opened ??= current().then(() =>
      openDataKey(store, config, recoveryKeys(config, log.entries), identities),
    ));
    opening.catch(() => (opened = undefined));
    return opening;
  };
  const reader = createReader({ store, dataKey, idKeyObject: config.id_key_object });
  const recordOf = async (snapshotId: string): Promise<RecordOf<'snapshot'>> => {
    const { snapshots, records } = await current();
    return records.get(resolveSnapshot(snapshots, snapshotId).id)!;
  };
  /** Evidence may be signed by whichever key is at hand. */
  const anySigner = async (): Promise<Signer> => {
    try {
      return (await hostKey()).signer;
    } catch (error) {
      if (options.adminKeyFile === undefined || !isLifeboatError(error, 'host-key-missing')) throw error;
      return adminSigner();
    }
  };

  return {
    id: config.repo_id,
    location: store.location,
    canRead: identities.length > 0,
    snapshots: async () => (await current()).snapshots,
    resolve: async (name) => resolveSnapshot((await current()).snapshots, name),
    async startBackup() {
      const key = await hostKey();
      await log.refresh();
      log.requireWritable();
      await log.saveHead();
      const marked = new Set([...stateOf(log.entries).openMarks.values()].flat());
      for (const damaged of await readDistrusted(distrusted)) marked.add(damaged);
      // Before the index is loaded: whatever reads the log meanwhile, marks from here on have not been looked at.
      const readUpTo = log.entries.length;
      const known = await loadKnownBlobs(store, [key.indexIdentity], marked);
      const { hostname, version, packTargetBytes } = options;
      return createBackupWriter({
        store,
        config,
        log,
        readUpTo,
        hostKey: key,
        known,
        clock,
        hostname,
        version,
        packTargetBytes,
      });
    },
    async manifest(snapshotId) {
      const { manifest } = await reader.root(await recordOf(snapshotId));
      return manifest;
    },
    requireReadable: async () => void (await dataKey()),
    async *mediaFiles(snapshotId) {
      yield* reader.mediaFiles(await recordOf(snapshotId));
    },
    async *mediaFilesByPack(snapshotId) {
      yield* reader.mediaFilesByPack(await recordOf(snapshotId));
    },
    read: reader.read,
    readWhole: reader.readWhole,
    readArchive: reader.readArchive,
    async check(checkOptions) {
      const result = await checkRepository({ store, config, log, identities, clock }, checkOptions);
      // A machine that only looks makes no backups that would have to know.
      await rememberDistrusted(distrusted, checkOptions, result).catch(() => {});
      return result;
    },
    async forget(snapshotIds, reasons, guard) {
      if (snapshotIds.length === 0) return;
      const signer = await adminSigner();
      await current();
      await log.append(
        { type: 'forget', snapshots: snapshotIds.map((id) => ({ id, reason: reasons[id] ?? 'asked for' })) },
        signer,
        () => {
          const { snapshots } = stateOf(log.entries);
          refuseForget(snapshots, snapshotIds);
          guard?.(snapshots);
        },
      );
    },
    async pin(snapshotId, pinned) {
      const signer = await adminSigner();
      const { id } = await recordOf(snapshotId);
      await log.append(
        { type: 'pin', snapshot: id, pinned },
        signer,
        () => void resolveSnapshot(stateOf(log.entries).snapshots, id),
      );
    },
    requireMayDelete: () => requireMayDelete(store),
    prune: (pruneOptions) => prune({ store, config, log, clock, adminSigner }, pruneOptions),
    repairIndex: (repairOptions) => repairIndex({ store, config, log, dataKey }, repairOptions),
    async recordEvidence({ type, snapshotId, result, summary }) {
      const signer = await anySigner();
      const { id } = await recordOf(snapshotId);
      await log.append({ type, snapshot: id, result, summary: { ...summary } }, signer);
    },
    addRecipients: (recipients) => addRecipients({ store, config, log, identities, adminSigner }, recipients),
    removeRecipients: (recipients) =>
      removeRecipients({ store, config, log, identities, adminSigner }, recipients),
    async recoveryFiles() {
      await current();
      const files = new Map<string, Uint8Array>([[CONFIG_KEY, configBytes]]);
      for (const [key, sha256] of Object.entries(config.recovery_kit))
        files.set(key, await getPlain(store, key, sha256));
      const { dataKeyObject } = recoveryKeys(config, log.entries);
      return files.set(dataKeyObject, await getNamed(store, dataKeyObject));
    },
    async keys() {
      await current();
      const { recipients, dataKeyObject } = recoveryKeys(config, log.entries);
      return {
        recipients,
        dataKeyObject,
        dataRecipient: config.data_recipient,
        indexRecipient: config.index_recipient,
        hostPublicKey: config.host_pub,
        adminPublicKey: config.admin_pub,
      };
    },
  };
}

function refuseForget(snapshots: Awaited<ReturnType<Repository['snapshots']>>, ids: readonly string[]): void {
  for (const id of ids) {
    const snapshot = snapshots.find((one) => one.id === id);
    if (snapshot === undefined)
      throw new LifeboatError('snapshot-missing', `there is no snapshot ${id} to forget`);
    if (snapshot.pinned)
      throw new LifeboatError('usage', `snapshot ${id} is pinned`, { hint: 'Unpin it first.' });
  }
}

/** A file without a hash in its name. Errors: `repository-damaged`. */
async function getPlain(store: ObjectStore, key: string, sha256: string): Promise<Uint8Array> {
  const bytes = await store.get(key).catch((error: unknown) => {
    throw isLifeboatError(error, 'object-missing') ? damagedObject(key, 'it is missing', error) : error;
  });
  if (sha256Hex(bytes) === sha256) return bytes;
  throw damagedObject(key, 'it is not the file that `lifeboat init` wrote');
}

function missingRepository(store: ObjectStore, cause: unknown): LifeboatError {
  return new LifeboatError('repository-missing', `there is no repository at ${store.location}`, {
    cause,
    hint: 'Run `lifeboat init`, or correct repository.path in lifeboat.yaml, or --repository.',
  });
}

function fromHex(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex');
}
