import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { blobId, blobIdOf } from '../../src/repository/blob-id.ts';

describe('a blob id', () => {
  const key = Buffer.alloc(32, 1);
  const digest = createHash('sha256').update('content').digest();

  it('is the HMAC-SHA-256 of the SHA-256 of the content, whatever form that comes in', () => {
    // printf content | openssl dgst -sha256 -binary | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101...
    const known = 'af1b0d6e58b29c17c87535dfaa5623f49ac60079f7a773c09fc92996d43b51b6';
    expect(blobId(key, digest)).toBe(known);
    expect(blobId(key, digest.toString('hex'))).toBe(known);
    expect(blobIdOf(key, Buffer.from('content'))).toBe(known);
  });

  it('differs with the key', () => {
    expect(blobId(Buffer.alloc(32, 2), digest)).not.toBe(blobId(key, digest));
  });

  it.each(['', 'ab', 'zz'.repeat(32), 'ab'.repeat(33)])('is refused for %j, which is no SHA-256', (text) => {
    expect(() => blobId(key, text)).toThrow(RangeError);
  });
});
