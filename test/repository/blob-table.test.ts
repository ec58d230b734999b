import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlobTable, type BlobPlace } from '../../src/repository/blob-table.ts';

const idOf = (value: number): string => createHash('sha256').update(String(value)).digest('hex');

describe('the table of known blobs', () => {
  it('answers like a map, whatever is added in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(1000), fc.nat(8_388_608))), (rows) => {
        const table = createBlobTable();
        const map = new Map<string, BlobPlace>();
        for (const [value, pack, sizeBytes] of rows) {
          const place = { pack, offset: value * 512, storedBytes: sizeBytes + 1, sizeBytes };
          table.add(idOf(value), place);
          if (!map.has(idOf(value))) map.set(idOf(value), place);
        }
        expect(table.size).toBe(map.size);
        for (let value = 0; value <= 200; value += 1)
          expect(table.get(idOf(value))).toEqual(map.get(idOf(value)));
      }),
      { numRuns: 50 },
    );
  });

  it('keeps everything when it grows, also ids that begin alike', () => {
    const table = createBlobTable();
    const ids = Array.from({ length: 20_000 }, (_, value) =>
      value % 2 === 0 ? idOf(value) : `00000000${idOf(value).slice(8)}`,
    );
    const placeOf = (value: number) => ({ pack: value, offset: 512, storedBytes: 2, sizeBytes: value });
    for (const [value, id] of ids.slice(0, 6000).entries()) table.add(id, placeOf(value));
    for (const [value, id] of ids.slice(0, 6000).entries()) expect(table.get(id)).toEqual(placeOf(value));
    expect(table.has(idOf(-1))).toBe(false);
  });

  it('learns where a blob lies when its pack is full, and nothing of one that it does not have', () => {
    const table = createBlobTable();
    table.add(idOf(1), { pack: 3, offset: 0, storedBytes: 0, sizeBytes: 7 });
    table.locate(idOf(1), 1024, 5);
    table.locate(idOf(2), 2048, 5);
    expect(table.get(idOf(1))).toEqual({ pack: 3, offset: 1024, storedBytes: 5, sizeBytes: 7 });
    expect(table.get(idOf(2))).toBeUndefined();
  });
});
