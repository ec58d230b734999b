import { isLifeboatError, type LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { RepositoryConfig } from './config-file.ts';
import type { DataKey } from './data-key.ts';
import { readIdKey } from './id-key.ts';
import { missingFacts } from './index-facts.ts';
import { emptySegment, indexRow, isEmptySegment, putIndexSegment } from './index-segment.ts';
import { listSizes, loadKnownBlobs, type SizedObject } from './known-blobs.ts';
import { stateOf } from './log-state.ts';
import type { CommitLog } from './log.ts';
import { getSealed } from './objects.ts';
import { readBlob, scanPack, type PackEntry } from './pack.ts';
import { PACKS_PER_SEGMENT } from './pack-writer.ts';
import type { DamagedObject, RepairIndexOptions, RepairIndexResult } from './port.ts';

export interface RepairIndexContext {
  readonly store: ObjectStore;
  readonly config: RepositoryConfig;
  readonly log: CommitLog;
  readonly dataKey: () => Promise<DataKey>;
}

/**
 * Describes again, in new index segments, the packs that no readable segment describes, and which files and media shards are
 * stored. Packs are read one by one, and each blob is compared with its id: a pack that is damaged is not described, so that
 * the next backup stores its contents anew. Nothing is removed.
 * Errors: those of reading the log and of the data key, `repository-version`.
 */
export async function repairIndex(
  { store, config, log, dataKey }: RepairIndexContext,
  { dryRun, onProgress, signal }: RepairIndexOptions,
): Promise<RepairIndexResult> {
  await log.refresh();
  if (!dryRun) log.requireWritable();
  const identities = [(await dataKey()).identity];
  const { openMarks, records } = stateOf(log.entries);
  const marked = new Set([...openMarks.values()].flat());
  // Before the index: what a running backup stores meanwhile, it describes itself.
  const packs = await listSizes(store, ['packs/'], marked);
  const damagedSegments: DamagedObject[] = [];
  const known = await loadKnownBlobs(store, identities, marked, (key, error) =>
    damagedSegments.push({ key, problem: error.message }),
  );
  const described = new Set(known.packs.map(({ key }) => key));
  const undescribed = [...packs]
    .filter(([key]) => !described.has(key))
    .map(([key, sizeBytes]) => ({ key, sizeBytes }));
  const plan = {
    packs: packs.size,
    undescribedPacks: undescribed.length,
    undescribedBytes: undescribed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    damagedSegments,
  };
  if (dryRun) return { ...plan, damagedPacks: [], newSegments: 0 };

  const reading = { store, identities, idKey: await readIdKey(store, config.id_key_object, identities) };
  const damagedPacks: DamagedObject[] = [];
  let newSegments = 0;
  let segment = emptySegment();
  const write = async (): Promise<void> => {
    if (isEmptySegment(segment)) return;
    await putIndexSegment(store, segment, [config.data_recipient, config.index_recipient]);
    newSegments += 1;
    segment = emptySegment();
  };
  for (const [at, pack] of undescribed.entries()) {
    signal?.throwIfAborted();
    onProgress?.(at, undescribed.length);
    const entries = await readEntries(reading, pack, damagedPacks);
    if (entries === undefined) continue;
    segment.packs.push({ ...pack, blobs: entries.map(indexRow) });
    if (segment.packs.length >= PACKS_PER_SEGMENT) await write();
  }
  const complete = undescribed.length === 0 && damagedSegments.length === 0;
  const wholeBytes = config.chunk.file.whole_bytes;
  const facts = await missingFacts(reading, records.values(), known, { complete, wholeBytes });
  segment = { ...segment, ...facts };
  await write();
  return { ...plan, damagedPacks, newSegments };
}

interface Reading {
  readonly store: ObjectStore;
  readonly identities: readonly Secret[];
  readonly idKey: Uint8Array;
}

/** Undefined, and noted, when it is damaged; undefined alone when a prune has removed it meanwhile. */
async function readEntries(
  { store, identities, idKey }: Reading,
  { key }: SizedObject,
  damaged: DamagedObject[],
): Promise<readonly PackEntry[] | undefined> {
  try {
    const plaintext = await getSealed(store, key, identities);
    const entries = scanPack(plaintext);
    for (const entry of entries) readBlob(plaintext, entry, idKey);
    return entries;
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (!isLifeboatError(error.cause, 'object-missing')) damaged.push({ key, problem: error.message });
    return undefined;
  }
}

/** Under the hash in its name, what no identity of the repository opens was not written by one of its hosts. */
function isDamage(error: unknown): error is LifeboatError {
  return isLifeboatError(error, 'repository-damaged') || isLifeboatError(error, 'identity-wrong');
}
