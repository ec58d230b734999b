import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Secret } from '../../src/core/secret.ts';
import { blobIdOf } from '../../src/repository/blob-id.ts';
import { compressBlob } from '../../src/repository/compress.ts';
import { createPackReader, type PackReader } from '../../src/repository/pack-reader.ts';
import { createPackBuilder } from '../../src/repository/pack.ts';
import type { PlacedBlob } from '../../src/repository/manifest-reader.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import { createSpareBuffers } from '../../src/repository/spare-buffers.ts';
import type { ByteRange, ObjectStore } from '../../src/storage/port.ts';
import { createMemoryStore, flipBit, type MemoryStore } from './memory-store.ts';

const MIB = 1024 * 1024;
const KEY = Buffer.alloc(32, 7);

interface Blob {
  readonly id: string;
  readonly content: Uint8Array;
  readonly place: PlacedBlob;
}

let memory: MemoryStore;
let identity: Secret;
/** In the order of the pack: of 1 byte to 3 MiB, 24 MiB together. */
let blobs: Blob[];
let packBytes: number;

function incompressible(sizeBytes: number, seed: string): Uint8Array {
  return createHash('shake256', { outputLength: sizeBytes }).update(seed).digest();
}

beforeAll(async () => {
  const pair = await generateIdentity();
  identity = pair.identity;
  const builder = createPackBuilder(25 * MIB, createSpareBuffers(1));
  const contents: { id: string; content: Uint8Array }[] = [];
  for (let at = 0, total = 0; total < 24 * MIB; at += 1) {
    const content = incompressible([1, 700, 65_536, 90_001, 400_000, 3 * MIB][at % 6]!, `blob ${at}`);
    const id = blobIdOf(KEY, content);
    if (contents.some((one) => one.id === id)) continue;
    builder.add(id, compressBlob(content), content.length);
    contents.push({ id, content });
    total += content.length;
  }
  const { key, file, entries } = await builder.seal([pair.recipient]);
  packBytes = file.length;
  memory = createMemoryStore(new Map([[key, file]]));
  blobs = entries.map(({ offset, storedBytes }, at) => ({
    ...contents[at]!,
    place: { pack: key, offset, storedBytes },
  }));
});

/** What was asked for, in bytes of the file. */
function watched(): { store: ObjectStore; ranges: ByteRange[] } {
  const ranges: ByteRange[] = [];
  const get: ObjectStore['get'] = async (key, range) => {
    ranges.push(range ?? { offset: 0, length: packBytes });
    return memory.get(key, range);
  };
  return { store: { ...memory, get }, ranges };
}

function reader(store: ObjectStore = memory): PackReader {
  return createPackReader(store, [identity], KEY);
}

const bytesIn = (ranges: readonly ByteRange[]): number => ranges.reduce((sum, { length }) => sum + length, 0);
const endOfHeader = (): number => {
  const file = Buffer.from([...memory.objects.values()][0]!);
  return file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1;
};
const largest = (): Blob[] => blobs.filter(({ content }) => content.length === 3 * MIB);

describe('blobs of a pack', () => {
  it('are read in any order, at once or one after the other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(blobs.length - 1), { maxLength: 60 }),
        fc.nat(9),
        async (order, many) => {
          const packs = reader();
          for (let at = 0; at < order.length; at += many + 1) {
            const some = order.slice(at, at + many + 1).map((number) => blobs[number]!);
            const read = await Promise.all(some.map(({ id, place }) => packs.blob(id, place)));
            for (const [index, { content }] of some.entries())
              expect(Buffer.compare(read[index]!, content)).toBe(0);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('are read for what they need and little more, when one of them is wanted', async () => {
    const { store, ranges } = watched();
    const { id, place } = blobs.filter(({ content }) => content.length === 700).at(-2)!;
    await reader(store).blob(id, place);
    // The header, and a page of 256 KiB, or two where the blob lies across.
    expect(bytesIn(ranges)).toBeLessThan(600 * 1024);
  });

  it('are read once and in few requests, when all are wanted one after the other', async () => {
    const { store, ranges } = watched();
    const packs = reader(store);
    for (const { id, place } of blobs) await packs.blob(id, place);
    expect(bytesIn(ranges)).toBeLessThanOrEqual(packBytes + 1024);
    expect(ranges.length).toBeLessThan(12);
  });

  it('far from one another are not read ahead of', async () => {
    const { store, ranges } = watched();
    const packs = reader(store);
    const wanted = largest().toReversed();
    for (const { id, place } of wanted) await packs.blob(id, place);
    expect(bytesIn(ranges)).toBeLessThan(wanted.length * (3 * MIB + 600 * 1024));
  });

  it('are asked for anew after a request that failed', async () => {
    let broken = true;
    const get: ObjectStore['get'] = async (key, range) => {
      if (broken && range!.length > 1024) throw new Error('the line is broken');
      return memory.get(key, range);
    };
    const packs = reader({ ...memory, get });
    const { id, place, content } = largest()[0]!;
    await expect(packs.blob(id, place)).rejects.toThrow('the line is broken');
    broken = false;
    expect(Buffer.compare(await packs.blob(id, place), content)).toBe(0);
  });
});

describe('a damaged pack', () => {
  const damaged = (change: (file: Uint8Array) => Uint8Array): ObjectStore =>
    createMemoryStore(new Map([...memory.objects].map(([key, file]) => [key, change(file)])));
  const naming = () => ({
    code: 'repository-damaged',
    message: expect.stringContaining(blobs[0]!.place.pack) as string,
  });

  it.each([
    ['in its header', () => 90],
    ['in the nonce', () => endOfHeader() + 3],
    ['where the blob lies', () => largest()[2]!.place.offset + MIB],
  ])('is named: a bit flipped %s', async (_, where) => {
    const { id, place } = largest()[2]!;
    const store = damaged((file) => flipBit(file, where() * 8 + 3));
    await expect(reader(store).blob(id, place)).rejects.toMatchObject(naming());
  });

  it('is named when it is cut, gone, or another one', async () => {
    const { id, place } = blobs.at(-1)!;
    for (const store of [
      damaged((file) => file.subarray(0, 100)),
      damaged((file) => file.subarray(0, place.offset + place.storedBytes)),
      damaged((file) => file.subarray(0, 5 * MIB)),
      damaged(() => new Uint8Array()),
      damaged(() => incompressible(5 * MIB, 'another')),
      createMemoryStore(),
    ])
      await expect(reader(store).blob(id, place)).rejects.toMatchObject(naming());
  });

  it('is told from a manifest that says a wrong place', async () => {
    const [{ id, place }, other] = largest() as [Blob, Blob];
    for (const lie of [
      { ...place, offset: place.offset + 512 },
      { ...place, storedBytes: place.storedBytes - 1 },
      { ...place, storedBytes: 0 },
      { ...place, offset: packBytes },
      { ...place, storedBytes: packBytes },
      other.place,
    ])
      await expect(reader().blob(id, lie)).rejects.toMatchObject(naming());
  });
});
