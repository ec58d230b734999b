import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { LifeboatError } from '../core/errors.ts';

/** No blob is larger: bounds what a hostile pack can make a reader allocate (2 GiB of zeros fit into 67 KB of zstd). */
const MAX_BLOB_BYTES = 32 * 1024 * 1024;

const LEVEL = 3;
const SAMPLE_BYTES = 16 * 1024;
/** Bits per byte. Random data of the sample's length measures 7.99, JPEG and video above 7.9, SQL dumps about 5. */
const INCOMPRESSIBLE_ENTROPY = 7.9;
/** RFC 8878, 3.1.1.2.4: no block is larger. */
const LARGEST_BLOCK = 128 * 1024;

/** One zstd frame with the size of the content in its header. What does not get smaller anyway is not compressed once more. */
export function compressBlob(content: Uint8Array): Uint8Array {
  if (content.length > MAX_BLOB_BYTES)
    throw new RangeError(`a blob has at most ${MAX_BLOB_BYTES} bytes, not ${content.length}`);
  if (looksIncompressible(content)) return rawFrame(content);
  // Size and output known beforehand: zstd allocates less, and node:zlib needs one round instead of many.
  return zstdCompressSync(content, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: content.length,
    chunkSize: content.length + 1024,
  });
}

/** A frame of raw blocks (RFC 8878, 3.1.1.2.2): single segment, content size in 4 bytes, no checksum. The blob id is one. */
function rawFrame(content: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(content.length / LARGEST_BLOCK));
  const frame = Buffer.allocUnsafe(9 + content.length + blocks * 3);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame.writeUInt8(0b1010_0000, 4);
  frame.writeUInt32LE(content.length, 5);
  let at = 9;
  for (let block = 0; block < blocks; block += 1) {
    const bytes = content.subarray(block * LARGEST_BLOCK, (block + 1) * LARGEST_BLOCK);
    frame.writeUIntLE((bytes.length << 3) | (block === blocks - 1 ? 1 : 0), at, 3);
    frame.set(bytes, at + 3);
    at += 3 + bytes.length;
  }
  return frame;
}

/** Stops at the declared size. Errors: `repository-damaged`, naming the blob. */
export function decompressBlob(frame: Uint8Array, sizeBytes: number, id: string): Uint8Array {
  if (sizeBytes > MAX_BLOB_BYTES) throw damaged(`blob ${id} claims ${sizeBytes} bytes`);
  let content: Uint8Array;
  try {
    content = zstdDecompressSync(frame, { maxOutputLength: Math.max(1, sizeBytes) });
  } catch (cause) {
    throw damaged(`blob ${id} does not decompress to its ${sizeBytes} bytes`, cause);
  }
  if (content.length !== sizeBytes)
    throw damaged(`blob ${id} has ${content.length} bytes instead of ${sizeBytes}`);
  return content;
}

/** What the header of a frame (RFC 8878, 3.1.1.1) says. Errors: `repository-damaged`, naming the blob. */
export function frameContentSize(frame: Uint8Array, id: string): number {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < 5 || bytes.readUInt32LE(0) !== 0xfd2fb528)
    throw damaged(`blob ${id} is not a zstd frame`);
  const descriptor = bytes.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeLength = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  const at = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (sizeLength === 0 || sizeLength > 4 || bytes.length < at + sizeLength)
    throw damaged(`blob ${id} does not state its size`);
  return bytes.readUIntLE(at, sizeLength) + (sizeLength === 2 ? 256 : 0);
}

/** Shannon entropy of bytes from the middle: the beginning of a compressed file is a header more often than not. */
function looksIncompressible(content: Uint8Array): boolean {
  const start = Math.max(0, (content.length - SAMPLE_BYTES) >> 1);
  const sample = content.subarray(start, start + SAMPLE_BYTES);
  const counts = new Uint32Array(256);
  for (let i = 0; i < sample.length; i += 1) counts[sample[i] as number]! += 1;
  let bits = 0;
  for (const count of counts)
    if (count > 0) bits -= (count / sample.length) * Math.log2(count / sample.length);
  return bits > INCOMPRESSIBLE_ENTROPY;
}

function damaged(problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', problem, { cause });
}
