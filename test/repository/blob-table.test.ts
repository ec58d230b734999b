import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlobTable } from '../../src/repository/blob-table.ts';

const idOf = (value: number): string => createHash('sha256').update(String(value)).digest('hex');

describe('the table of known blobs', () => {
  it('answers like a map, whatever is added in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(1000), fc.nat(8_388_608))), (rows) => {
        const table = createBlobTable();
        const map = new Map<string, { pack: number; sizeBytes: number }>();
        for (const [value, pack, sizeBytes] of rows) {
          table.add(idOf(value), pack, sizeBytes);
          if (!map.has(idOf(value))) map.set(idOf(value), { pack, sizeBytes });
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
    for (const [value, id] of ids.slice(0, 6000).entries()) table.add(id, value, value);
    for (const [value, id] of ids.slice(0, 6000).entries())
      expect(table.get(id)).toEqual({ pack: value, sizeBytes: value });
    expect(table.has(idOf(-1))).toBe(false);
  });
});
