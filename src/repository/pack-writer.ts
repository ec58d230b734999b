import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { ObjectStore } from '../storage/port.ts';
import { blobId } from './blob-id.ts';
import {
  emptySegment,
  indexRow,
  isEmptySegment,
  putIndexSegment,
  type IndexSegment,
} from './index-segment.ts';
import type { KnownBlobs, SizedObject } from './known-blobs.ts';
import { largestFrame } from './compress.ts';
import { createMutex } from './mutex.ts';
import { createSpareBuffers, type SpareBuffers } from './spare-buffers.ts';
import { createPackBuilder, LARGEST_PACK_TARGET, randomPackTarget, type PackBuilder } from './pack.ts';
import { inWorker, workerCount } from './worker-pool.ts';

/** Packs in one index segment: about a GiB. */
export const PACKS_PER_SEGMENT = 32;
/** On a slow line a GiB takes an hour: a killed backup has to upload again at most what came after its last segment. */
const SEGMENT_AGE_MS = 60_000;
/** Small files come to tens of thousands a pack: what is held until a segment is written must not grow with them. */
const BLOBS_PER_SEGMENT = 65_536;

export interface PackWriterOptions {
  readonly store: ObjectStore;
  readonly known: KnownBlobs;
  readonly idKey: Uint8Array;
  readonly recipients: readonly string[];
  readonly indexRecipients: readonly string[];
  readonly packTargetBytes: number | undefined;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export interface PackWriter {
  readonly newBlobs: number;
  readonly reusedBlobs: number;
  readonly newPacks: number;
  readonly storedBytes: number;
  /**
   * Stores content unless it is there, and gives its blob id. Calls may overlap; one pack is filled at a time. `sha256` is the
   * content's, where the caller has it already. The content may be overwritten when the call resolves.
   */
  store(content: Uint8Array, sha256?: Uint8Array): Promise<string>;
  /** The same for contents that belong together: nothing else is stored between them. */
  storeRun(contents: readonly Uint8Array[]): Promise<readonly string[]>;
  /** Undefined while the pack is still being filled. */
  pack(number: number): (SizedObject & { readonly segment: SizedObject | undefined }) | undefined;
  /** Seals and uploads the pack that is being filled. */
  flush(): Promise<void>;
  /** Facts for the next index segment, beside its packs. */
  remember(facts: Partial<Pick<IndexSegment, 'files' | 'shards'>>): void;
  /** Writes the index of everything that is not yet in one; gives the segments written by this run. */
  flushIndex(): Promise<readonly SizedObject[]>;
  /** The same after a failure, for what was stored all the same: the next run need not store it again. */
  rescueIndex(): Promise<void>;
  countReused(blobs: number): void;
  /** Adds what others have written to `storedBytes`. */
  countStored(bytes: number): void;
}

interface NewPack extends SizedObject {
  segment: SizedObject | undefined;
}

/** Contents on their way to a worker thread, a few MiB at a time: one message for each would cost more than the compression. */
interface Batch {
  readonly ids: string[];
  readonly ends: number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
  used: number;
}

interface OpenPack {
  readonly number: number;
  readonly target: number;
  readonly builder: PackBuilder;
  /** Batches that are being compressed. */
  readonly compressing: Promise<void>[];
  /** Bytes of content, given to the pack and compressed into it so far. */
  givenBytes: number;
  doneBytes: number;
}

const BATCH_BYTES = 4 * 1024 * 1024;
/** For the frames of a batch, and what they need besides their contents. */
const BATCH_ROOM = BATCH_BYTES + 1024 * 1024;
/** Packs being sealed and uploaded while the next one is filled: bounds memory at about three packs. */
const MOST_SEALING = 2;

/**
 * Fills packs one after the other and keeps the index of them; compression, encryption and hashing are done by worker threads,
 * beside reading and uploading. Once something failed, the ids that were promised are not there: from then on every call fails
 * with the same error, `flush` of a commit too.
 */
export function createPackWriter(options: PackWriterOptions): PackWriter {
  const { store, known } = options;
  const firstNew = known.packs.length;
  /** By number; a hole is a pack that is not stored yet. */
  const newPacks: NewPack[] = [];
  const segments: SizedObject[] = [];
  const oneAtATime = createMutex();
  const compressing = new Set<Promise<void>>();
  const sealing = new Set<Promise<void>>();
  const packBuffers = createSpareBuffers(MOST_SEALING + 1);
  const batchBuffers = createSpareBuffers(4 * workerCount());
  let opened = 0;
  let open: OpenPack | undefined;
  let batch: Batch | undefined;
  let pending = emptySegment();
  /** Of the packs in it. */
  let pendingNumbers: number[] = [];
  let pendingBlobs = 0;
  /** When the last one was written, or the run began. */
  let segmentMs = options.clock.monotonicMs();
  let failure: unknown;
  const count = { newBlobs: 0, reusedBlobs: 0, newPacks: 0, storedBytes: 0 };

  const guarded = <T>(task: () => Promise<T>): Promise<T> =>
    oneAtATime(async () => {
      if (failure !== undefined) throw failure;
      try {
        return await task();
      } catch (error) {
        failure ??= error;
        throw failure;
      }
    });

  const makeRoom = async (running: ReadonlySet<Promise<void>>, most: number): Promise<void> => {
    while (running.size >= most) await Promise.race(running);
  };
  /** Runs beside what comes next; its failure is everybody's. */
  const aside = (running: Set<Promise<void>>, task: () => Promise<void>): Promise<void> => {
    const run = task()
      .catch((error: unknown) => void (failure ??= error))
      .finally(() => running.delete(run));
    running.add(run);
    return run;
  };

  const sendBatch = async (pack: OpenPack): Promise<void> => {
    if (batch === undefined) return;
    const { ids, ends, bytes, used } = batch;
    batch = undefined;
    await makeRoom(compressing, 2 * workerCount());
    const run = aside(compressing, async () => {
      const needed = ends.reduce((sum, end, at) => sum + largestFrame(end - (ends[at - 1] ?? 0)), 0);
      const room = batchBuffers.take(Math.max(needed, BATCH_ROOM));
      const frames = await inWorker({ kind: 'compress', bytes: bytes.subarray(0, used), ends, room });
      for (const [index, id] of ids.entries()) {
        const frame = frames.bytes.subarray(index === 0 ? 0 : frames.ends[index - 1], frames.ends[index]);
        pack.builder.add(id, frame, ends[index]! - (index === 0 ? 0 : ends[index - 1]!));
      }
      pack.doneBytes += used;
      batchBuffers.give(frames.bytes);
      if (frames.spare !== undefined) batchBuffers.give(frames.spare);
    });
    pack.compressing.push(run);
  };

  const sealOpen = async (): Promise<void> => {
    if (open === undefined) return;
    const pack = open;
    await sendBatch(pack);
    open = undefined;
    await makeRoom(sealing, MOST_SEALING);
    void aside(sealing, async () => {
      await Promise.all(pack.compressing);
      if (failure !== undefined) throw failure;
      const { key, file, entries } = await pack.builder.seal(options.recipients);
      // Also when it `exists`: then an earlier try went through and only its answer was lost. No two packs are alike.
      await store.put(key, file);
      const storedBytes = file.length;
      packBuffers.give(file);
      count.storedBytes += storedBytes;
      count.newPacks += 1;
      for (const entry of entries) known.table.locate(entry.id, entry.offset, entry.storedBytes);
      newPacks[pack.number - firstNew] = { key, sizeBytes: storedBytes, segment: undefined };
      pending.packs.push({ key, sizeBytes: storedBytes, blobs: entries.map(indexRow) });
      pendingNumbers.push(pack.number);
      pendingBlobs += entries.length;
      const old = options.clock.monotonicMs() - segmentMs >= SEGMENT_AGE_MS;
      if (old || pending.packs.length >= PACKS_PER_SEGMENT || pendingBlobs >= BLOBS_PER_SEGMENT)
        await writeIndex();
    });
  };

  const writeIndex = async (): Promise<void> => {
    if (isEmptySegment(pending)) return;
    const [content, numbers] = [pending, pendingNumbers];
    // Before the first await: what is remembered meanwhile belongs to the next segment.
    pending = emptySegment();
    pendingNumbers = [];
    pendingBlobs = 0;
    segmentMs = options.clock.monotonicMs();
    const { key, sizeBytes, storedBytes } = await putIndexSegment(store, content, options.indexRecipients);
    count.storedBytes += storedBytes;
    const segment = { key, sizeBytes };
    segments.push(segment);
    for (const number of numbers) newPacks[number - firstNew]!.segment = segment;
  };

  const settle = async (): Promise<void> => {
    await Promise.all(sealing);
    if (failure !== undefined) throw failure;
  };

  const append = async (pack: OpenPack, id: string, content: Uint8Array): Promise<void> => {
    if (batch !== undefined && batch.used + content.length > batch.bytes.length) await sendBatch(pack);
    batch ??= { ids: [], ends: [], bytes: batchBuffers.take(Math.max(BATCH_BYTES, content.length)), used: 0 };
    batch.bytes.set(content, batch.used);
    batch.used += content.length;
    batch.ids.push(id);
    batch.ends.push(batch.used);
    pack.givenBytes += content.length;
    if (batch.used >= BATCH_BYTES) await sendBatch(pack);
  };

  const add = async (content: Uint8Array, sha256: Uint8Array): Promise<string> => {
    const id = blobId(options.idKey, sha256);
    if (known.table.has(id)) {
      count.reusedBlobs += 1;
      return id;
    }
    open ??= openPack(firstNew + opened++, options.packTargetBytes, packBuffers);
    known.table.add(id, { pack: open.number, offset: 0, storedBytes: 0, sizeBytes: content.length });
    count.newBlobs += 1;
    await append(open, id, content);
    if (expectedBytes(open) >= open.target) await sealOpen();
    return id;
  };

  return {
    get newBlobs() {
      return count.newBlobs;
    },
    get reusedBlobs() {
      return count.reusedBlobs;
    },
    get newPacks() {
      return count.newPacks;
    },
    get storedBytes() {
      return count.storedBytes;
    },
    store: (content, sha256) => {
      const digest = sha256 ?? createHash('sha256').update(content).digest();
      return guarded(() => add(content, digest));
    },
    storeRun: (contents) =>
      guarded(async () => {
        const ids: string[] = [];
        for (const content of contents)
          ids.push(await add(content, createHash('sha256').update(content).digest()));
        return ids;
      }),
    pack: (number) => known.packs[number] ?? newPacks[number - firstNew],
    flush: () => guarded(async () => (await sealOpen(), await settle())),
    remember({ files = {}, shards = {} }) {
      Object.assign(pending.files, files);
      Object.assign(pending.shards, shards);
    },
    flushIndex: () => guarded(async () => (await settle(), await writeIndex(), segments)),
    rescueIndex: () => oneAtATime(async () => (await Promise.all(sealing), await writeIndex())),
    countReused(blobs) {
      count.reusedBlobs += blobs;
    },
    countStored(bytes) {
      count.storedBytes += bytes;
    },
  };
}

function openPack(number: number, fixedTarget: number | undefined, buffers: SpareBuffers): OpenPack {
  // All of one size, so that they can go round.
  const builder = createPackBuilder((fixedTarget ?? LARGEST_PACK_TARGET) + BATCH_ROOM, buffers);
  const target = fixedTarget ?? randomPackTarget();
  return { number, target, builder, compressing: [], givenBytes: 0, doneBytes: 0 };
}

/** What the pack will hold when its batches are compressed, if they shrink as those before them did. */
function expectedBytes({ builder, givenBytes, doneBytes }: OpenPack): number {
  const ratio = doneBytes === 0 ? 1 : builder.sizeBytes / doneBytes;
  return builder.sizeBytes + (givenBytes - doneBytes) * ratio;
}
