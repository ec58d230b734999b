import type { z } from '../config/zod.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { rootSchema, shardHeaderSchema, shardRowSchema, type ManifestRoot } from './manifest-schema.ts';
import type { MediaFile } from './manifest.ts';
import { damagedObject, getSealed } from './objects.ts';
import { decompressText } from './zstd-text.ts';

/** V8's longest string is about 512 MiB; a root lists the chunks of a dump of some hundred GiB in that. */
const ROOT_LIMIT_BYTES = 480 * 1024 * 1024;
const SHARD_LIMIT_BYTES = 256 * 1024 * 1024;

/** Where a manifest says that a blob is. */
export interface PlacedBlob {
  readonly pack: string;
  /** Of its frame in the decrypted pack. */
  readonly offset: number;
  readonly storedBytes: number;
}

/** A media file, and the place of each of its blobs. */
export interface PlacedFile {
  readonly file: MediaFile;
  readonly places: readonly PlacedBlob[];
}

/** Errors: `identity-missing`, `identity-wrong`, `repository-damaged`. */
export async function readRoot(
  store: ObjectStore,
  key: string,
  snapshotId: string,
  identities: readonly Secret[],
): Promise<ManifestRoot> {
  const text = await readText(store, key, identities, ROOT_LIMIT_BYTES);
  const root = parse(key, rootSchema, text);
  if (root.manifest.snapshotId !== snapshotId)
    throw damagedObject(key, `it is the manifest of ${root.manifest.snapshotId}, not of ${snapshotId}`);
  return root;
}

/** The rows of one shard. Errors as `readRoot`. */
export async function* readShard(
  store: ObjectStore,
  shard: ManifestRoot['shards'][number],
  identities: readonly Secret[],
): AsyncIterable<PlacedFile> {
  yield* filesOfShard(shard, await readShardText(store, shard.object, identities));
}

/** As it was written, for the id that the index keeps it under. Errors as `readRoot`. */
export async function readShardText(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
): Promise<string> {
  return readText(store, key, identities, SHARD_LIMIT_BYTES);
}

/** Errors: `repository-damaged`. */
export function* filesOfShard(shard: ManifestRoot['shards'][number], text: string): Iterable<PlacedFile> {
  const key = shard.object;
  let packs: readonly string[] | undefined;
  let files = 0;
  for (const line of linesOf(text)) {
    if (packs === undefined) {
      packs = parse(key, shardHeaderSchema, line).packs;
      continue;
    }
    const { in: inside, ...file } = parse(key, shardRowSchema, line);
    if (inside.length !== file.blobs.length || inside.some(([number]) => packs![number] === undefined))
      throw damagedObject(key, `${file.path} does not say where its blobs are`);
    yield {
      file,
      places: inside.map(([number, offset, storedBytes]) => ({ pack: packs![number]!, offset, storedBytes })),
    };
    files += 1;
  }
  if (files !== shard.files) throw damagedObject(key, `it lists ${files} files, not ${shard.files}`);
}

async function readText(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
  limitBytes: number,
): Promise<string> {
  const plaintext = await getSealed(store, key, identities);
  try {
    return await decompressText(plaintext, limitBytes);
  } catch (error) {
    throw damagedObject(key, 'it cannot be decompressed', error);
  }
}

function parse<T>(key: string, schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damagedObject(key, 'it is not JSON', error);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw damagedObject(key, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

function* linesOf(text: string): Iterable<string> {
  let start = 0;
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
    yield text.slice(start, end);
    start = end + 1;
  }
}
