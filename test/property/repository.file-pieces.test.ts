import { Readable } from 'node:stream';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filePieces, storeStream } from '../../src/repository/store-stream.ts';

const WHOLE = 100;
const PIECE = 40;

describe('pieces of a file', () => {
  it('depend on its bytes alone, however the stream was cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 8 }), async (cuts) => {
        const whole = Buffer.concat(cuts);
        const stored: Buffer[] = [];
        const store = async (piece: Uint8Array) => {
          stored.push(Buffer.from(piece));
          return String(stored.length);
        };
        const content = await storeStream(Readable.from(cuts), filePieces(WHOLE, PIECE), store);
        expect(Buffer.concat(stored).equals(whole)).toBe(true);
        expect(content.sizeBytes).toBe(whole.length);
        expect(content.sha256).toBe(createHash('sha256').update(whole).digest('hex'));
        expect(content.blobs).toHaveLength(stored.length);
        const sizes = stored.map((piece) => piece.length);
        if (whole.length <= WHOLE) expect(sizes).toEqual(whole.length === 0 ? [] : [whole.length]);
        else
          for (const [at, size] of sizes.entries())
            expect(size).toBe(Math.min(PIECE, whole.length - at * PIECE));
      }),
    );
  });
});
