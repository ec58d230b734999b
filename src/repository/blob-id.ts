import { createHash } from 'node:crypto';
import { keyedHash } from './keyed-hash.ts';

/**
 * The id of a blob: HMAC-SHA-256(key, SHA-256(content)) in hex. The inner hash is plain so that a SHA-256 which the homeserver's
 * database already stores finds the blob without reading the file; the key keeps whoever reads the store from testing guesses.
 */
export function blobId(key: Uint8Array, sha256: Uint8Array | string): string {
  const digest = typeof sha256 === 'string' ? Buffer.from(sha256, 'hex') : sha256;
  if (digest.length !== 32) throw new RangeError(`a SHA-256 has 32 bytes, not ${digest.length}`);
  return keyedHash(key).update(digest).digest('hex');
}

/** The id of content at hand. */
export function blobIdOf(key: Uint8Array, content: Uint8Array): string {
  return blobId(key, createHash('sha256').update(content).digest());
}
