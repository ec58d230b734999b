import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { objectKey } from '../../src/repository/object-names.ts';
import { choosePacks } from '../../src/repository/pack-sample.ts';
import type { ObjectStat } from '../../src/storage/port.ts';

const packs = fc.uniqueArray(fc.nat(), { maxLength: 60 }).map((seeds) =>
  seeds.map((seed): ObjectStat => ({
    key: keyOf(seed),
    sizeBytes: 1 + (seed % 1000),
    modified: new Date(0),
  })),
);

function keyOf(seed: number): string {
  return objectKey('packs', createHash('sha256').update(String(seed)).digest('hex'));
}

it('the parts of a repository are disjoint, and together all of it', () => {
  fc.assert(
    fc.property(packs, fc.integer({ min: 1, max: 300 }), (all, of) => {
      const parts = Array.from({ length: of }, (_, at) => choosePacks(all, { part: at + 1, of })).flat();
      expect(parts.toSorted(byKey)).toEqual(all.toSorted(byKey));
    }),
    { numRuns: 50 },
  );
});

it('a pack stays in its part, whatever else is there', () => {
  fc.assert(
    fc.property(packs, fc.integer({ min: 1, max: 9 }), fc.nat(), (all, of, start) => {
      const fewer = all.slice(start % (all.length + 1));
      for (let part = 1; part <= of; part += 1) {
        const chosen = new Set(choosePacks(all, { part, of }));
        expect(choosePacks(fewer, { part, of })).toEqual(fewer.filter((pack) => chosen.has(pack)));
      }
    }),
  );
});

it('a share is so many of the packs, rounded up; a size is reached, and without the last pack it is not', () => {
  fc.assert(
    fc.property(
      packs,
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 50_000 }),
      (all, share, bytes) => {
        expect(new Set(choosePacks(all, { share })).size).toBe(Math.ceil(all.length * share));
        const some = choosePacks(all, { bytes });
        expect(new Set(some).size).toBe(some.length);
        expect(sum(some) >= bytes || some.length === all.length).toBe(true);
        expect(sum(some.slice(0, -1))).toBeLessThan(Math.max(bytes, 1));
      },
    ),
  );
});

it('a random sample may hold every pack', () => {
  const all = Array.from({ length: 5 }, (_, seed): ObjectStat => ({
    key: keyOf(seed),
    sizeBytes: 1,
    modified: new Date(0),
  }));
  const seen = new Set(Array.from({ length: 300 }, () => choosePacks(all, { share: 0.2 })[0]!.key));
  expect(seen.size).toBe(5);
});

function byKey(a: ObjectStat, b: ObjectStat): number {
  return a.key < b.key ? -1 : 1;
}

function sum(stats: readonly ObjectStat[]): number {
  return stats.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
