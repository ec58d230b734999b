import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { createBlobTable } from './blob-table.ts';
import type { DataKey } from './data-key.ts';
import { readIdKey } from './id-key.ts';
import { loadKnownBlobs, type KnownBlobs } from './known-blobs.ts';
import { readRoot, readShard, type PlacedBlob } from './manifest-reader.ts';
import type { ManifestRoot } from './manifest-schema.ts';
import type { ArchiveRef, Content, MediaFile } from './manifest.ts';
import { damagedObject, getSealed } from './objects.ts';
import { createPackReader, type PackReader } from './pack-reader.ts';
import type { RecordOf } from './record.ts';

export interface Reader {
  root(record: RecordOf<'snapshot'>): Promise<ManifestRoot>;
  mediaFiles(record: RecordOf<'snapshot'>): AsyncIterable<MediaFile>;
  mediaFilesByPack(record: RecordOf<'snapshot'>): AsyncIterable<MediaFile>;
  read(content: Content): Readable;
  readWhole(content: Content): Promise<Uint8Array | undefined>;
  readArchive(archive: ArchiveRef): Readable;
}

/** Rows in memory: each pack is opened once for so many files, instead of once for each file of a year of nights. */
const SORTED_AT_ONCE = 65_536;

export interface ReaderOptions {
  readonly store: ObjectStore;
  /** The data key, opened when it is needed. */
  readonly dataKey: () => Promise<DataKey>;
  readonly idKeyObject: string;
}

/**
 * Reads snapshots with the data key. Manifests say where their blobs are, so that a restore needs no index; the index
 * is only asked for content whose manifest was not read here.
 */
export function createReader(options: ReaderOptions): Reader {
  const { store } = options;
  const places = createBlobTable();
  const packKeys: string[] = [];
  const packNumbers = new Map<string, number>();
  let packs: Promise<PackReader> | undefined;
  let index: Promise<KnownBlobs> | undefined;

  const dataIdentity = async (): Promise<readonly Secret[]> => [(await options.dataKey()).identity];

  const openPacks = async (): Promise<PackReader> => {
    const identities = await dataIdentity();
    return createPackReader(store, identities, await readIdKey(store, options.idKeyObject, identities));
  };

  const remember = (blob: string, { pack, offset, storedBytes }: PlacedBlob): void => {
    let number = packNumbers.get(pack);
    if (number === undefined) {
      number = packKeys.push(pack) - 1;
      packNumbers.set(pack, number);
    }
    places.add(blob, { pack: number, offset, storedBytes, sizeBytes: 0 });
  };

  const placeOf = async (blob: string): Promise<PlacedBlob> => {
    const read = places.get(blob);
    if (read !== undefined) return { ...read, pack: packKeys[read.pack]! };
    index ??= loadKnownBlobs(store, await dataIdentity(), new Set());
    const { table, packs: indexed } = await index;
    const found = table.get(blob);
    if (found !== undefined) return { ...found, pack: indexed[found.pack]!.key };
    throw new LifeboatError(
      'repository-damaged',
      `blob ${blob} is in no manifest that was read, and in no index`,
    );
  };

  const readWhole = async (content: Content): Promise<Uint8Array | undefined> => {
    const opened = await (packs ??= openPacks());
    const [only, ...others] = content.blobs;
    // The id is made of the content's own hash: what `blob` verifies is all.
    if (only === undefined || others.length > 0 || !opened.isIdOf(only, content.sha256)) return undefined;
    const bytes = await opened.blob(only, await placeOf(only));
    if (bytes.length !== content.sizeBytes) throw notAsBackedUp(content, bytes.length, content.sha256);
    return bytes;
  };

  const blobs = async function* (content: Content): AsyncGenerator<Uint8Array> {
    const whole = await readWhole(content);
    if (whole !== undefined) {
      yield whole;
      return;
    }
    const opened = await (packs ??= openPacks());
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for (const id of content.blobs) {
      const bytes = await opened.blob(id, await placeOf(id));
      hash.update(bytes);
      sizeBytes += bytes.length;
      yield bytes;
    }
    const sha256 = hash.digest('hex');
    if (sizeBytes === content.sizeBytes && sha256 === content.sha256) return;
    throw notAsBackedUp(content, sizeBytes, sha256);
  };

  const mediaFiles = async function* (record: RecordOf<'snapshot'>): AsyncGenerator<MediaFile> {
    const identities = await dataIdentity();
    const { shards } = await readRoot(store, record.manifest, record.id, identities);
    for (const shard of shards) {
      for await (const { file, places: filePlaces } of readShard(store, shard, identities)) {
        for (const [at, blob] of file.blobs.entries()) remember(blob, filePlaces[at]!);
        yield file;
      }
    }
  };
  /** Of its first blob; an empty file has none. */
  const startOf = ({ blobs: [first] }: MediaFile): number => {
    if (first === undefined) return -1;
    const { pack, offset } = places.get(first)!;
    return pack * 2 ** 32 + offset;
  };
  const byPack = (files: readonly MediaFile[]): readonly MediaFile[] =>
    files
      .map((file) => ({ file, start: startOf(file) }))
      .toSorted((a, b) => a.start - b.start)
      .map(({ file }) => file);

  return {
    async root(record) {
      const root = await readRoot(store, record.manifest, record.id, await dataIdentity());
      for (const [blob, [number, offset, storedBytes]] of Object.entries(root.where)) {
        const pack = root.packs[number];
        if (pack === undefined)
          throw damagedObject(record.manifest, `it does not say in which pack blob ${blob} is`);
        remember(blob, { pack, offset, storedBytes });
      }
      return root;
    },
    mediaFiles,
    async *mediaFilesByPack(record) {
      let some: MediaFile[] = [];
      for await (const file of mediaFiles(record)) {
        if (some.push(file) < SORTED_AT_ONCE) continue;
        yield* byPack(some);
        some = [];
      }
      yield* byPack(some);
    },
    readWhole,
    read: (content) => Readable.from(blobs(content), { objectMode: false }),
    readArchive: (archive) =>
      Readable.from(
        (async function* () {
          yield await getSealed(store, archive.object, await dataIdentity());
        })(),
        { objectMode: false },
      ),
  };
}

function notAsBackedUp(content: Content, sizeBytes: number, sha256: string): LifeboatError {
  return new LifeboatError(
    'repository-damaged',
    `content is not what was backed up: ${sizeBytes} bytes with SHA-256 ${sha256} instead of ${content.sizeBytes} with ${content.sha256}`,
  );
}
