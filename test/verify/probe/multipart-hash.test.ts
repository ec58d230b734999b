import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashLastPart } from '../../../src/verify/probe/multipart-hash.ts';

const TYPE = 'multipart/mixed; boundary=gc0p4Jq0M2Yt08jU534c0p';
const wrap = (content: Uint8Array, headers = 'Content-Type: text/plain') =>
  Buffer.concat([
    Buffer.from(
      `\r\n--gc0p4Jq0M2Yt08jU534c0p\r\nContent-Type: application/json\r\n\r\n{}\r\n--gc0p4Jq0M2Yt08jU534c0p\r\n${headers}\r\n\r\n`,
    ),
    content,
    Buffer.from('\r\n--gc0p4Jq0M2Yt08jU534c0p--\r\n'),
  ]);

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('a file in a multipart answer', () => {
  it('is hashed exactly, however the answer is cut into pieces', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.constant(Buffer.from('\r\n--gc0p4Jq0\r\n\r\n--')),
    );
    await fc.assert(
      fc.asyncProperty(content, fc.integer({ min: 1, max: 80 }), async (bytes, size) => {
        const part = await hashLastPart(TYPE, inPieces(wrap(bytes), size));
        expect(part).toEqual({
          sizeBytes: bytes.length,
          sha256: createHash('sha256').update(bytes).digest('hex'),
        });
      }),
      { numRuns: 100 },
    );
  });

  it('is refused when the end is missing, at every place', async () => {
    const whole = wrap(Buffer.from('hello'));
    const end = whole.length - '--\r\n'.length;
    for (let length = 0; length < end; length += 1) {
      await expect(hashLastPart(TYPE, inPieces(whole.subarray(0, length), 16))).rejects.toThrow(
        'the answer ended',
      );
    }
  });

  it('is refused when the answer has another form, or points elsewhere', async () => {
    const bytes = wrap(Buffer.from('x'));
    await expect(hashLastPart('text/html', inPieces(bytes, 99))).rejects.toThrow('not multipart/mixed');
    await expect(hashLastPart(TYPE, inPieces(Buffer.alloc(100_000), 4096))).rejects.toThrow('no second part');
    await expect(
      hashLastPart(TYPE, inPieces(wrap(Buffer.from(''), 'Location: https://cdn.example/x'), 99)),
    ).rejects.toThrow('points to another place');
  });
});
