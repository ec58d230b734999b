import { LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { BlobTable } from './blob-table.ts';
import { shardId } from './index-facts.ts';
import { keyedHash } from './keyed-hash.ts';
import type { KnownBlobs, SizedObject } from './known-blobs.ts';
import { mediaFileSchema, requireValid } from './manifest-schema.ts';
import type { MediaFile } from './manifest.ts';
import { createMutex } from './mutex.ts';
import { putSealed } from './objects.ts';
import type { PackWriter } from './pack-writer.ts';
import { compressText } from './zstd-text.ts';

/**
 * The list of media files, cut into shards so that no list of all files is ever in memory. A shard ends where the keyed hash
 * of a path says so, hence a new file changes one shard and the others are shared with the snapshot before.
 */
const MEAN_ROWS = 4096;
const LONGEST_SHARD = 50_000;
/** Shards that wait for the pack of their newest files; each is at most some MiB. */
const MOST_WAITING = 8;

interface ShardRef {
  readonly object: string;
  readonly files: number;
  readonly bytes: number;
}

export interface MediaShardWriter {
  add(file: MediaFile): Promise<void>;
  /** All shards in order, with the objects that they need. */
  finish(): Promise<{
    shards: readonly ShardRef[];
    objects: readonly SizedObject[];
    packs: ReadonlySet<number>;
  }>;
}

export interface MediaShardOptions {
  readonly store: ObjectStore;
  readonly known: KnownBlobs;
  readonly packs: PackWriter;
  readonly idKey: Uint8Array;
  readonly recipients: readonly string[];
}

interface Shard {
  readonly position: number;
  readonly rows: { readonly file: MediaFile; readonly packs: readonly number[] }[];
}

export function createMediaShards(options: MediaShardOptions): MediaShardWriter {
  const { known, packs } = options;
  const refs: ShardRef[] = [];
  const objects = new Map<string, SizedObject>();
  const usedPacks = new Set<number>();
  const oneAtATime = createMutex();
  let waiting: Shard[] = [];
  let shard: Shard = { position: 0, rows: [] };

  const endShard = async (): Promise<void> => {
    if (shard.rows.length > 0) waiting.push(shard);
    shard = { position: shard.position + 1, rows: [] };
    if (waiting.length > MOST_WAITING) await packs.flush();
    await writeReady();
  };

  const writeReady = async (): Promise<void> => {
    const ready = waiting.filter(({ rows }) =>
      rows.every((row) => row.packs.every((number) => packs.pack(number) !== undefined)),
    );
    waiting = waiting.filter((one) => !ready.includes(one));
    for (const one of ready) await write(one);
  };

  const write = async ({ position, rows }: Shard): Promise<void> => {
    const text = shardText(rows, known.table, (number) => packs.pack(number)!.key);
    const id = shardId(options.idKey, text);
    const shared = known.shards.get(id);
    const object = shared?.object ?? (await store(id, text));
    for (const needed of [object, ...(shared === undefined ? [] : [shared.segment])])
      objects.set(needed.key, needed);
    const bytes = rows.reduce((sum, { file }) => sum + file.sizeBytes, 0);
    refs[position] = { object: object.key, files: rows.length, bytes };
  };

  const store = async (id: string, text: string): Promise<SizedObject> => {
    const result = await putSealed(options.store, 'manifests', await compressText(text), options.recipients);
    packs.countStored(result.storedBytes);
    const object = { key: result.key, sizeBytes: result.sizeBytes };
    packs.remember({ shards: { [id]: object } });
    return object;
  };

  return {
    add: (file) =>
      oneAtATime(async () => {
        const places = requireValid(mediaFileSchema, file, `media file ${file.path}`).blobs.map((blob) =>
          placeOf(known, blob, file.path),
        );
        for (const number of places) usedPacks.add(number);
        shard.rows.push({ file, packs: places });
        if (shard.rows.length >= LONGEST_SHARD || endsShard(options.idKey, file.path)) await endShard();
      }),
    finish: () =>
      oneAtATime(async () => {
        await packs.flush();
        await endShard();
        return { shards: refs, objects: [...objects.values()], packs: usedPacks };
      }),
  };
}

/** One line of JSON for the packs, and one for each file; `in` says for every blob where it is. All their packs are stored. */
function shardText(rows: Shard['rows'], table: BlobTable, keyOf: (number: number) => string): string {
  const numbers = new Map<number, number>();
  const lines = rows.map(({ file }) => {
    const inside = file.blobs.map((blob) => {
      const { pack, offset, storedBytes } = table.get(blob)!;
      if (!numbers.has(pack)) numbers.set(pack, numbers.size);
      return [numbers.get(pack), offset, storedBytes];
    });
    const { path, sizeBytes, sha256, blobs, mediaClass, object } = file;
    return JSON.stringify({ path, sizeBytes, sha256, mediaClass, blobs, object, in: inside });
  });
  const header = JSON.stringify({ v: 1, packs: [...numbers.keys()].map(keyOf) });
  return `${[header, ...lines].join('\n')}\n`;
}

function endsShard(idKey: Uint8Array, path: string): boolean {
  return keyedHash(idKey).update('row:').update(path).digest().readUInt32BE(0) % MEAN_ROWS === 0;
}

function placeOf(known: KnownBlobs, blob: string, path: string): number {
  const place = known.table.get(blob);
  if (place === undefined)
    throw new LifeboatError(
      'internal',
      `media file ${path} names blob ${blob}, which this backup has not stored`,
    );
  return place.pack;
}
