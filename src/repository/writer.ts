import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { LifeboatError, messageOf } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import { buildArchive } from './archive.ts';
import { blobId } from './blob-id.ts';
import { createChunker } from './chunk.ts';
import type { RepositoryConfig } from './config-file.ts';
import type { HostKey } from './key-files.ts';
import { dumpsOf } from './dumps.ts';
import { fileId } from './index-facts.ts';
import type { KnownBlobs, SizedObject } from './known-blobs.ts';
import { snapshotEntry } from './log-state.ts';
import type { CommitLog } from './log.ts';
import { requireValid, rootSchema, type ManifestRoot } from './manifest-schema.ts';
import type { Content, Manifest } from './manifest.ts';
import { createMediaShards } from './media-shards.ts';
import { CONFIG_KEY, logKey } from './object-names.ts';
import { putSealed, type PutResult } from './objects.ts';
import { createPackWriter } from './pack-writer.ts';
import type { BackupWriter, CommitResult } from './port.ts';
import type { RecordOf } from './record.ts';
import { recoveryKeys } from './recovery-keys.ts';
import { putRefs } from './refs.ts';
import { filePieces, storeStream, storeStreamInRuns } from './store-stream.ts';
import { compressText } from './zstd-text.ts';

export interface WriterOptions {
  readonly store: ObjectStore;
  readonly config: RepositoryConfig;
  readonly log: CommitLog;
  /** The records whose marks `known` respects; one after them may name objects that this backup leans on. */
  readonly readUpTo: number;
  readonly hostKey: HostKey;
  readonly known: KnownBlobs;
  readonly clock: Clock;
  readonly hostname: string;
  readonly version: string;
  /** For tests; packs vary between 24 and 40 MiB otherwise. */
  readonly packTargetBytes: number | undefined;
}

/**
 * A running backup. Order of writes: packs (with index segments between them), archives and media shards as they come, the
 * last index segment, manifest, refs, log record. Everything before the record is garbage until the record is there.
 */
export function createBackupWriter(options: WriterOptions): BackupWriter {
  const { store, config, hostKey, known, clock, log } = options;
  const snapshotId = randomBytes(16).toString('hex');
  const startedAt = clock.now();
  const { idKey } = hostKey;
  const recipients = [config.data_recipient];
  const { whole_bytes: wholeBytes, piece_bytes: pieceBytes } = config.chunk.file;
  const packs = createPackWriter({
    store,
    known,
    idKey,
    recipients,
    indexRecipients: [config.data_recipient, config.index_recipient],
    packTargetBytes: options.packTargetBytes,
    clock,
  });
  const media = createMediaShards({ store, known, packs, idKey, recipients });
  const archives: SizedObject[] = [];
  /** From the beginning of `commit`: nothing more may be added. */
  let committing = false;
  let over = false;

  const requireRunning = (): void => {
    if (over || committing) throw new LifeboatError('internal', `backup ${snapshotId} is over`);
  };
  const counted = (result: PutResult): SizedObject => {
    packs.countStored(result.storedBytes);
    return { key: result.key, sizeBytes: result.sizeBytes };
  };

  const findKnown = (sha256: string, sizeBytes: number): Content | undefined => {
    const blobs =
      sizeBytes === 0
        ? []
        : sizeBytes <= wholeBytes
          ? [blobId(idKey, sha256)]
          : known.files.get(fileId(idKey, sha256));
    if (blobs === undefined) return undefined;
    const sizes = blobs.map((blob) => known.table.get(blob)?.sizeBytes ?? Number.NaN);
    if (sizes.reduce((sum, size) => sum + size, 0) !== sizeBytes) return undefined;
    packs.countReused(blobs.length);
    return { sizeBytes, sha256, blobs };
  };

  const writeRoot = async (
    manifest: Manifest,
    shards: ManifestRoot['shards'],
    usedPacks: Set<number>,
  ): Promise<SizedObject> => {
    const numbers = new Map<number, number>();
    const where: ManifestRoot['where'] = {};
    for (const blob of dumpsOf(manifest).flatMap(({ content }) => content.blobs)) {
      const place = known.table.get(blob);
      if (place === undefined)
        throw new LifeboatError('internal', `a dump names blob ${blob}, which this backup has not stored`);
      if (!numbers.has(place.pack)) numbers.set(place.pack, numbers.size);
      where[blob] = [numbers.get(place.pack)!, place.offset, place.storedBytes];
      usedPacks.add(place.pack);
    }
    const packKeys = [...numbers.keys()].map((number) => packs.pack(number)!.key);
    // Parsed before it is written: a manifest that no restore would accept must fail tonight, not on the day of need.
    const root = requireValid(rootSchema, { v: 1, manifest, packs: packKeys, where, shards }, 'the manifest');
    return counted(await putSealed(store, 'manifests', await compressText(JSON.stringify(root)), recipients));
  };

  /** Runs before the record is tried: a mark that came meanwhile may be about to delete what the snapshot needs. */
  const refuseMarked = (needed: ReadonlyMap<string, number>): void => {
    for (const { body } of log.entries.slice(options.readUpTo)) {
      const marked = body?.type === 'mark' ? body.objects.find((object) => needed.has(object)) : undefined;
      if (marked === undefined) continue;
      throw new LifeboatError(
        'locked',
        `a prune marked ${marked} for deletion while the backup was relying on it`,
        {
          hint: 'Run the backup again: it stores those contents anew.',
          context: { object: marked },
        },
      );
    }
  };

  /** What the snapshot leans on may have been protected long ago. The snapshot is there already, and must not fail by this. */
  const protect = async (needed: readonly string[]): Promise<string | undefined> => {
    const { dataKeyObject } = recoveryKeys(config, log.entries);
    const plain = [CONFIG_KEY, dataKeyObject, config.id_key_object, ...Object.keys(config.recovery_kit)];
    const records = log.entries.map(({ seq }) => logKey(seq));
    try {
      await store.protect?.([...plain, ...needed, ...records]);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };

  return {
    snapshotId,
    async addStream(source) {
      requireRunning();
      return storeStreamInRuns(source, createChunker(idKey), packs.storeRun);
    },
    async addFile(source) {
      requireRunning();
      const content = await storeStream(source, filePieces(wholeBytes, pieceBytes), packs.store);
      if (content.blobs.length > 1)
        packs.remember({ files: { [fileId(idKey, content.sha256)]: [...content.blobs] } });
      return content;
    },
    async addBytes(content) {
      requireRunning();
      if (content.length > wholeBytes)
        throw new LifeboatError('internal', `${content.length} bytes are too many for one blob`);
      const digest = createHash('sha256').update(content).digest();
      const blobs = content.length === 0 ? [] : [await packs.store(content, digest)];
      return { sizeBytes: content.length, sha256: digest.toString('hex'), blobs };
    },
    known: findKnown,
    async addMedia(file) {
      requireRunning();
      await media.add(file);
    },
    async addArchive(files) {
      requireRunning();
      const archive = await buildArchive(files);
      const object = counted(await putSealed(store, 'archives', archive.tar, recipients));
      archives.push(object);
      return { object: object.key, sizeBytes: archive.tar.length, files: archive.files };
    },
    async commit(parts, tags = [], lastCheck = async () => {}): Promise<CommitResult> {
      requireRunning();
      committing = true;
      const { shards, objects, packs: usedPacks } = await media.finish();
      const segments = await packs.flushIndex();
      const manifest: Manifest = {
        version: 1,
        snapshotId,
        startedAt: startedAt.toISOString(),
        finishedAt: clock.now().toISOString(),
        hostname: options.hostname,
        lifeboatVersion: options.version,
        ...parts,
      };
      const packNumbers = new Set(usedPacks);
      const root = await writeRoot(manifest, [...shards], packNumbers);
      const usedObjects = [...packNumbers].flatMap((number) => {
        const pack = packs.pack(number)!;
        return pack.segment === undefined ? [pack] : [pack, pack.segment];
      });
      const needed = new Map(
        [...usedObjects, ...segments, ...objects, ...archives, root].map(({ key, sizeBytes }) => [
          key,
          sizeBytes,
        ]),
      );
      const refs = (await putRefs(store, snapshotId, needed)).map(counted);
      for (const { key, sizeBytes } of refs) needed.set(key, sizeBytes);

      await lastCheck();
      const entry = await log.append(
        {
          type: 'snapshot',
          id: snapshotId,
          manifest: root.key,
          refs: refs.map(({ key }) => key),
          ...totals(manifest, shards),
          new_bytes: packs.storedBytes,
          hostname: options.hostname,
          server_name: manifest.homeserver.serverName,
          tags: [...tags],
          lifeboat_version: options.version,
        },
        hostKey.signer,
        () => refuseMarked(needed),
      );
      over = true;
      const unprotected = await protect([...needed.keys()]);
      return {
        entry: snapshotEntry(entry.body as RecordOf<'snapshot'>, false, undefined),
        newBlobs: packs.newBlobs,
        reusedBlobs: packs.reusedBlobs,
        newPacks: packs.newPacks,
        storedBytes: packs.storedBytes,
        unprotected,
      };
    },
    async abort() {
      if (over) return;
      over = true;
      // Only spares uploads of the next run; the error that led here must not be hidden by another one.
      await packs.rescueIndex().catch(() => {});
    },
  };
}

function totals(
  manifest: Manifest,
  shards: readonly { files: number; bytes: number }[],
): { files: number; bytes: number } {
  const dumps = dumpsOf(manifest).map(({ content }) => content.sizeBytes);
  const archives = [manifest.keys.archive, manifest.config.archive];
  const all = [...dumps, ...archives.map(({ sizeBytes }) => sizeBytes), ...shards.map(({ bytes }) => bytes)];
  return {
    files:
      shards.reduce((sum, { files }) => sum + files, 0) +
      archives.reduce((sum, { files }) => sum + files.length, 0) +
      dumps.length,
    bytes: all.reduce((sum, bytes) => sum + bytes, 0),
  };
}
