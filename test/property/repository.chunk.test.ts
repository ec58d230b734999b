import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createChunker } from '../../src/repository/chunk.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

const SIZES = { min: 256, average: 1024, max: 4096 };

/** Bytes that look random and depend on nothing but the seed. */
function stream(seed: number, length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i * 32 < length; i += 1) parts.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

function chunksOf(key: Uint8Array, pieces: readonly Uint8Array[], sizes = SIZES): Uint8Array[] {
  const chunker = createChunker(key, sizes);
  return [...pieces.flatMap((piece) => chunker.push(piece)), ...chunker.finish()];
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...pieces, bytes.subarray(at)];
}

const hashes = (chunks: readonly Uint8Array[]): string[] =>
  chunks.map((chunk) => createHash('sha256').update(chunk).digest('hex'));

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const seeds = fc.integer();
const lengths = fc.integer({ min: 0, max: 60_000 });

describe('a chunker', () => {
  it('gives back the stream, within its bounds, however the stream arrives', () => {
    fc.assert(
      fc.property(
        keys,
        seeds,
        lengths,
        fc.array(fc.integer({ min: 0, max: 5000 })),
        (key, seed, length, cuts) => {
          const bytes = stream(seed, length);
          const chunks = chunksOf(key, cut(bytes, cuts));
          expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
          expect(hashes(chunks)).toEqual(hashes(chunksOf(key, [bytes])));
          for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(SIZES.max);
          for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThan(SIZES.min);
        },
      ),
    );
  });

  it('cuts elsewhere with another key', () => {
    fc.assert(
      fc.property(keys, keys, seeds, (key, other, seed) => {
        fc.pre(Buffer.compare(key, other) !== 0);
        const bytes = stream(seed, 60_000);
        const ends = new Set(endsOf(chunksOf(key, [bytes])));
        const shared = endsOf(chunksOf(other, [bytes])).filter((end) => ends.has(end));
        // Some 60 boundaries each: chance lets a few coincide.
        expect(shared.length).toBeLessThan(10);
      }),
    );
  });

  it('changes few chunks when bytes are inserted somewhere', () => {
    fc.assert(
      fc.property(
        keys,
        seeds,
        lengths,
        fc.uint8Array({ minLength: 1, maxLength: 500 }),
        (key, seed, at, inserted) => {
          const bytes = stream(seed, 60_000);
          const edited = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
          const before = new Set(hashes(chunksOf(key, [bytes])));
          const changed = hashes(chunksOf(key, [edited])).filter((hash) => !before.has(hash));
          expect(changed.length).toBeLessThan(20);
        },
      ),
    );
  });

  it('starts afresh behind every boundary, so that streams agree again after a difference', () => {
    // So small that the hash of one chunk would still be felt in the next.
    const small = { min: 4, average: 32, max: 64 };
    fc.assert(
      fc.property(keys, seeds, fc.nat(50), (key, seed, skipped) => {
        const bytes = stream(seed, 4000);
        const chunks = chunksOf(key, [bytes], small);
        const end = endsOf(chunks)[skipped] ?? 0;
        const rest = chunksOf(key, [bytes.subarray(end)], small);
        expect(hashes(rest)).toEqual(hashes(end === 0 ? chunks : chunks.slice(skipped + 1)));
      }),
    );
  });

  it('takes another stream after it has finished one', () => {
    const chunker = createChunker(new Uint8Array(32), SIZES);
    const bytes = stream(1, 10_000);
    const first = [...chunker.push(bytes), ...chunker.finish()];
    const second = [...chunker.push(bytes), ...chunker.finish()];
    expect(hashes(second)).toEqual(hashes(first));
    expect(chunker.finish()).toEqual([]);
  });

  it('does not share memory with the stream or with its next chunks', () => {
    const chunker = createChunker(new Uint8Array(32), SIZES);
    const bytes = Buffer.from(stream(1, 20_000));
    const chunks = chunker.push(bytes);
    const before = hashes(chunks);
    bytes.fill(0);
    chunker.push(stream(2, 20_000));
    expect(hashes(chunks)).toEqual(before);
  });

  it('cuts near the average, and cuts constant input at the maximum', () => {
    const chunks = chunksOf(new Uint8Array(32), [stream(3, 1_000_000)]);
    const mean = 1_000_000 / chunks.length;
    expect(mean).toBeGreaterThan(SIZES.average * 0.8);
    expect(mean).toBeLessThan(SIZES.average * 1.6);
    const zeros = chunksOf(new Uint8Array(32), [new Uint8Array(SIZES.max * 3)]);
    expect(zeros.map((chunk) => chunk.length)).toEqual([SIZES.max, SIZES.max, SIZES.max]);
  });

  it.each([
    { min: 0, average: 1024, max: 4096 },
    { min: 1024, average: 1024, max: 4096 },
    { min: 256, average: 1000, max: 4096 },
    { min: 256, average: 1024, max: 1024 },
  ])('refuses sizes out of order: %o', (sizes) => {
    expect(() => createChunker(new Uint8Array(32), sizes)).toThrow(RangeError);
  });

  it('cuts where version 1 of the format has always cut', () => {
    const chunker = createChunker(Buffer.alloc(32, 7));
    const lengths = [...chunker.push(stream(4, 1 << 20)), ...chunker.finish()].map((chunk) => chunk.length);
    // Computed by another implementation (Python) of the same rules.
    expect(lengths).toEqual([
      72889, 122571, 68833, 20089, 88146, 113343, 75616, 70690, 81261, 87219, 86645, 84846, 74055, 2373,
    ]);
  });
});

function endsOf(chunks: readonly Uint8Array[]): number[] {
  let end = 0;
  return chunks.map((chunk) => (end += chunk.length));
}
