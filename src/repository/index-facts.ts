import { isLifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { IndexSegment } from './index-segment.ts';
import { keyedHash } from './keyed-hash.ts';
import { listSizes, type KnownBlobs } from './known-blobs.ts';
import { filesOfShard, readRoot, readShardText } from './manifest-reader.ts';
import type { ManifestRoot } from './manifest-schema.ts';
import type { RecordOf } from './record.ts';

/**
 * What an index says beside its packs: which blobs a file has that was cut, and which media shards are stored. Kept under keyed
 * hashes: nobody without the id key can test guesses.
 */
export type IndexFacts = Pick<IndexSegment, 'files' | 'shards'>;

/** `sha256`: of the file's content, in hex. */
export function fileId(idKey: Uint8Array, sha256: string): string {
  return keyedHash(idKey).update('file:').update(sha256).digest('hex');
}

export function shardId(idKey: Uint8Array, text: string): string {
  return keyedHash(idKey).update('shard:').update(text).digest('hex');
}

interface Reading {
  readonly store: ObjectStore;
  readonly identities: readonly Secret[];
  readonly idKey: Uint8Array;
}

interface FactOptions {
  /** Nothing else is missing: then a shard that is known has its files known, too, and is not read. */
  readonly complete: boolean;
  /** Files above this were cut. */
  readonly wholeBytes: number;
}

/** The facts of these snapshots that the index lacks. Damaged manifests are passed over: `check` reports them. */
export async function missingFacts(
  { store, identities, idKey }: Reading,
  records: Iterable<RecordOf<'snapshot'>>,
  known: KnownBlobs,
  { complete, wholeBytes }: FactOptions,
): Promise<IndexFacts> {
  const facts: IndexFacts = { files: {}, shards: {} };
  const sizes = await listSizes(store, ['manifests/'], new Set());
  const seen = new Set(complete ? [...known.shards.values()].map(({ object }) => object.key) : []);
  const collect = async (shard: ManifestRoot['shards'][number]): Promise<void> => {
    const text = await readShardText(store, shard.object, identities);
    for (const { file } of filesOfShard(shard, text)) {
      const id = fileId(idKey, file.sha256);
      if (file.sizeBytes > wholeBytes && !known.files.has(id)) facts.files[id] = [...file.blobs];
    }
    const id = shardId(idKey, text);
    const sizeBytes = sizes.get(shard.object);
    if (!known.shards.has(id) && sizeBytes !== undefined) facts.shards[id] = { key: shard.object, sizeBytes };
  };
  for (const { manifest, id } of records) {
    const root = await readRoot(store, manifest, id, identities).catch(passOverDamage);
    for (const shard of root?.shards ?? []) {
      if (seen.has(shard.object)) continue;
      seen.add(shard.object);
      await collect(shard).catch(passOverDamage);
    }
  }
  return facts;
}

function passOverDamage(error: unknown): undefined {
  if (!isLifeboatError(error, 'repository-damaged')) throw error;
  return undefined;
}
