import { isLifeboatError, type LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { createBlobTable, type BlobTable } from './blob-table.ts';
import { readIndexSegment, type IndexSegment } from './index-segment.ts';
import { promisedSha256 } from './object-names.ts';

/** What the repository holds already, as far as the index says and the listing confirms. */
export interface KnownBlobs {
  readonly table: BlobTable;
  /** By pack number. */
  readonly packs: KnownPack[];
  /** Keyed file id -> blobs of files that were cut. */
  readonly files: Map<string, readonly string[]>;
  /** Keyed id of a shard's text -> the shard, whose object is there. */
  readonly shards: Map<string, KnownShard>;
}

interface KnownPack {
  readonly key: string;
  readonly sizeBytes: number;
  /** The index segment that describes it. */
  readonly segment: SizedObject;
}

interface KnownShard {
  readonly object: SizedObject;
  readonly segment: SizedObject;
}

export interface SizedObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/**
 * Reads the index. Only packs that are listed and that nobody marked for deletion count: leaning on another would be a
 * snapshot that cannot be restored. The packs are listed after the log was read, so what a `mark` in it names may be gone.
 * A damaged segment is told and passed over: it costs uploads.
 */
export async function loadKnownBlobs(
  store: ObjectStore,
  identities: readonly Secret[],
  marked: ReadonlySet<string>,
  onDamage: (key: string, error: LifeboatError) => void = () => undefined,
): Promise<KnownBlobs> {
  const present = await listSizes(store, ['packs/', 'manifests/'], marked);
  const known: KnownBlobs = { table: createBlobTable(), packs: [], files: new Map(), shards: new Map() };
  const segments = await listSizes(store, ['index/'], marked);
  for (const [key, sizeBytes] of segments) {
    const segment = await readIndexSegment(store, key, identities).catch((error: unknown) => {
      if (!isLifeboatError(error, 'repository-damaged')) throw error;
      onDamage(key, error);
    });
    if (segment !== undefined) addSegment(known, segment, { key, sizeBytes }, present);
  }
  return known;
}

function addSegment(
  known: KnownBlobs,
  content: IndexSegment,
  segment: SizedObject,
  present: ReadonlyMap<string, number>,
): void {
  for (const pack of content.packs) {
    if (present.get(pack.key) !== pack.sizeBytes) continue;
    const number = known.packs.push({ key: pack.key, sizeBytes: pack.sizeBytes, segment }) - 1;
    for (const [id, offset, storedBytes, contentBytes] of pack.blobs)
      known.table.add(id, { pack: number, offset, storedBytes, sizeBytes: contentBytes });
  }
  for (const [id, blobs] of Object.entries(content.files)) known.files.set(id, blobs);
  for (const [id, object] of Object.entries(content.shards)) {
    if (present.get(object.key) === object.sizeBytes) known.shards.set(id, { object, segment });
  }
}

/** Key -> size of what is listed below the prefixes, named as an object of ours, and not marked. */
export async function listSizes(
  store: ObjectStore,
  prefixes: readonly string[],
  marked: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const prefix of prefixes) {
    for await (const { key, sizeBytes } of store.list(prefix)) {
      if (promisedSha256(key) !== undefined && !marked.has(key)) sizes.set(key, sizeBytes);
    }
  }
  return sizes;
}
