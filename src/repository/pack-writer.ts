import { createHash } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import { blobId } from './blob-id.ts';
import type { IndexSegment } from './index-segment.ts';
import { putIndexSegment } from './index-segment.ts';
import type { KnownBlobs, SizedObject } from './known-blobs.ts';
import { createMutex } from './mutex.ts';
import { createPackBuilder, type PackBuilder } from './pack.ts';

/** Packs in one index segment: about a GiB, which is what a killed first backup may have to upload again. */
const PACKS_PER_SEGMENT = 32;

export interface PackWriterOptions {
  readonly store: ObjectStore;
  readonly known: KnownBlobs;
  readonly idKey: Uint8Array;
  readonly recipients: readonly string[];
  readonly indexRecipients: readonly string[];
  readonly packTargetBytes: number | undefined;
}

export interface PackWriter {
  readonly newBlobs: number;
  readonly reusedBlobs: number;
  readonly newPacks: number;
  readonly storedBytes: number;
  /** Stores content unless it is there, and gives its blob id. Calls may overlap; one pack is filled at a time. */
  store(content: Uint8Array): Promise<string>;
  /** Undefined while the pack is still being filled. */
  pack(number: number): (SizedObject & { readonly segment: SizedObject | undefined }) | undefined;
  /** Seals and uploads the pack that is being filled. */
  flush(): Promise<void>;
  /** Facts for the next index segment, beside its packs. */
  remember(facts: Partial<Pick<IndexSegment, 'files' | 'shards'>>): void;
  /** Writes the index of everything that is not yet in one; gives the segments written by this run. */
  flushIndex(): Promise<readonly SizedObject[]>;
  countReused(blobs: number): void;
  /** Adds what others have written to `storedBytes`. */
  countStored(bytes: number): void;
}

interface NewPack extends SizedObject {
  segment: SizedObject | undefined;
}

/**
 * Fills packs one after the other and keeps the index of them. Once an upload failed, the ids that were promised are not
 * there: from then on every call fails with the same error, `flush` of a commit too.
 */
export function createPackWriter(options: PackWriterOptions): PackWriter {
  const { store, known } = options;
  const firstNew = known.packs.length;
  const newPacks: NewPack[] = [];
  const segments: SizedObject[] = [];
  const oneAtATime = createMutex();
  let open: PackBuilder | undefined;
  let pending = emptySegment();
  let failure: unknown;
  const count = { newBlobs: 0, reusedBlobs: 0, storedBytes: 0 };

  const guarded = <T>(task: () => Promise<T>): Promise<T> =>
    oneAtATime(async () => {
      if (failure !== undefined) throw failure;
      try {
        return await task();
      } catch (error) {
        failure = error;
        throw error;
      }
    });

  const sealOpen = async (): Promise<void> => {
    if (open === undefined) return;
    const { key, file, entries } = await open.seal(options.recipients);
    open = undefined;
    if ((await store.put(key, file)) === 'exists')
      throw new LifeboatError('internal', `two packs are called ${key}`);
    count.storedBytes += file.length;
    newPacks.push({ key, sizeBytes: file.length, segment: undefined });
    const blobs = entries.map(
      (entry) =>
        [entry.id, entry.offset, entry.storedBytes, entry.sizeBytes] as [string, number, number, number],
    );
    pending.packs.push({ key, sizeBytes: file.length, blobs });
    if (pending.packs.length >= PACKS_PER_SEGMENT) await writeIndex();
  };

  const writeIndex = async (): Promise<void> => {
    if (isEmpty(pending)) return;
    const content = pending;
    // Before the first await: what is remembered meanwhile belongs to the next segment.
    pending = emptySegment();
    const { key, sizeBytes, storedBytes } = await putIndexSegment(store, content, options.indexRecipients);
    count.storedBytes += storedBytes;
    const segment = { key, sizeBytes };
    segments.push(segment);
    for (const pack of newPacks.slice(newPacks.length - content.packs.length)) pack.segment = segment;
  };

  const add = async (content: Uint8Array): Promise<string> => {
    const id = blobId(options.idKey, createHash('sha256').update(content).digest());
    if (known.table.has(id)) {
      count.reusedBlobs += 1;
      return id;
    }
    open ??= createPackBuilder(options.packTargetBytes);
    open.add(id, content);
    known.table.add(id, firstNew + newPacks.length, content.length);
    count.newBlobs += 1;
    if (open.full) await sealOpen();
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
      return newPacks.length;
    },
    get storedBytes() {
      return count.storedBytes;
    },
    store: (content) => guarded(() => add(content)),
    pack: (number) => known.packs[number] ?? newPacks[number - firstNew],
    flush: () => guarded(sealOpen),
    remember({ files = {}, shards = {} }) {
      Object.assign(pending.files, files);
      Object.assign(pending.shards, shards);
    },
    flushIndex: () => guarded(async () => (await writeIndex(), segments)),
    countReused(blobs) {
      count.reusedBlobs += blobs;
    },
    countStored(bytes) {
      count.storedBytes += bytes;
    },
  };
}

function emptySegment(): IndexSegment {
  return { v: 1, packs: [], files: {}, shards: {} };
}

function isEmpty(segment: IndexSegment): boolean {
  return segment.packs.length + Object.keys(segment.files).length + Object.keys(segment.shards).length === 0;
}
