import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';

/**
 * The payload of an age v1 file (C2SP age specification, "Payload"): STREAM of ChaCha20-Poly1305 in chunks of 64 KiB. Apart from
 * the header (seal.ts) because worker threads do this part, and need no age library for it.
 */
const CHUNK = 64 * 1024;
const TAG = 16;
const NONCE = 16;

export const PAYLOAD_OVERHEAD = { nonce: NONCE, tag: TAG } as const;
export const PAYLOAD_CHUNK = CHUNK;

/** Size of the age file of so many bytes. */
export function sealedSize(headerBytes: number, plaintextBytes: number): number {
  return headerBytes + NONCE + plaintextBytes + chunkCount(plaintextBytes) * TAG;
}

/** Header and encrypted payload: a whole age file. */
export function sealPayload(
  header: Uint8Array,
  fileKey: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(sealedSize(header.length, plaintext.length));
  buffer.set(plaintext);
  return sealInPlace(buffer, plaintext.length, header, fileKey);
}

/** The same where the plaintext stands at the beginning of a buffer that has room for the file; gives the part that is the file. */
export function sealInPlace(
  buffer: Uint8Array<ArrayBuffer>,
  plaintextBytes: number,
  header: Uint8Array,
  fileKey: Uint8Array,
): Uint8Array<ArrayBuffer> {
  // A nonce of our own: the one behind the header has already encrypted the empty payload with this file key.
  const nonce = randomBytes(NONCE);
  const key = payloadKey(fileKey, nonce);
  const chunks = chunkCount(plaintextBytes);
  // Backwards: each chunk moves towards the end, over what is encrypted already.
  for (let index = chunks - 1; index >= 0; index -= 1) {
    const cipher = createCipheriv('chacha20-poly1305', key, chunkNonce(index, index === chunks - 1), {
      authTagLength: TAG,
    });
    const start = index * CHUNK;
    const sealed = cipher.update(buffer.subarray(start, Math.min(start + CHUNK, plaintextBytes)));
    cipher.final();
    const at = header.length + NONCE + index * (CHUNK + TAG);
    buffer.set(sealed, at);
    buffer.set(cipher.getAuthTag(), at + sealed.length);
  }
  buffer.set(header, 0);
  buffer.set(nonce, header.length);
  return buffer.subarray(0, sealedSize(header.length, plaintextBytes));
}

function chunkCount(plaintextBytes: number): number {
  return Math.max(1, Math.ceil(plaintextBytes / CHUNK));
}

/**
 * The plaintext of a file whose header has `headerLength` bytes. It takes the place of the file, from the beginning: a chunk is
 * always written to where chunks before it were read. Errors: `repository-damaged`; the buffer holds nothing of use then.
 */
export function openInPlace(
  file: Uint8Array<ArrayBuffer>,
  headerLength: number,
  fileKey: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const payloadStart = headerLength + NONCE;
  const { chunks, plaintextBytes } = payloadShape(file.length, headerLength);
  openChunks(file, payloadStart, fileKey, file.slice(headerLength, payloadStart), 0, chunks);
  return file.subarray(0, plaintextBytes);
}

/** What the size of an age file tells of its payload. Errors: `repository-damaged`. */
export function payloadShape(
  fileBytes: number,
  headerLength: number,
): { readonly chunks: number; readonly plaintextBytes: number } {
  const payloadLength = fileBytes - headerLength - NONCE;
  if (payloadLength < TAG) throw damaged('age file is cut short');
  const chunks = Math.ceil(payloadLength / (CHUNK + TAG));
  if (payloadLength - (chunks - 1) * (CHUNK + TAG) < TAG) throw damaged('age file is cut short');
  const plaintextBytes = payloadLength - chunks * TAG;
  // The specification allows an empty last chunk only for an empty file; anything else would be a second spelling.
  if (chunks > 1 && plaintextBytes === (chunks - 1) * CHUNK) throw damaged('age file ends in an empty chunk');
  return { chunks, plaintextBytes };
}

/** Chunks of a payload that lie one behind the other. */
export interface PayloadPart {
  readonly nonce: Uint8Array;
  /** Number of the first one in the payload. */
  readonly first: number;
  /** Of the whole payload. */
  readonly chunks: number;
}

/** The plaintext of a part, in its place. Errors: `repository-damaged`. */
export function openPartInPlace(
  bytes: Uint8Array<ArrayBuffer>,
  fileKey: Uint8Array,
  { nonce, first, chunks }: PayloadPart,
): Uint8Array<ArrayBuffer> {
  const opened = openChunks(bytes, 0, fileKey, nonce, first, chunks);
  return bytes.subarray(0, bytes.length - opened * TAG);
}

/** Opens what stands from `start` to the end, as chunks from `first` on, to the beginning of the buffer. Gives their number. */
function openChunks(
  bytes: Uint8Array,
  start: number,
  fileKey: Uint8Array,
  nonce: Uint8Array,
  first: number,
  chunks: number,
): number {
  const key = payloadKey(fileKey, nonce);
  let opened = 0;
  for (let at = start; at < bytes.length; at += CHUNK + TAG, opened += 1) {
    const chunk = bytes.subarray(at, Math.min(at + CHUNK + TAG, bytes.length));
    const index = first + opened;
    bytes.set(openChunk(chunk, key, index, index === chunks - 1), opened * CHUNK);
  }
  return opened;
}

function openChunk(chunk: Uint8Array, key: KeyObject, index: number, last: boolean): Uint8Array {
  const decipher = createDecipheriv('chacha20-poly1305', key, chunkNonce(index, last), {
    authTagLength: TAG,
  });
  decipher.setAuthTag(chunk.subarray(chunk.length - TAG));
  const plaintext = decipher.update(chunk.subarray(0, chunk.length - TAG));
  try {
    decipher.final();
  } catch (cause) {
    throw damaged(`age payload is damaged in its chunk ${index}`, cause);
  }
  return plaintext;
}

/** As an object: given bytes, node:crypto makes one for every chunk, which takes longer than to encrypt the chunk. */
function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): KeyObject {
  return createSecretKey(new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32)));
}

/** STREAM: an 11-byte big-endian counter and a flag for the last chunk. */
function chunkNonce(index: number, last: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function damaged(problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', problem, { cause });
}
