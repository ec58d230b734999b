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
const BLOCK_HEADER = 3;
const FRAME_HEADER = 9;

/** One zstd frame with the size of the content in its header. What does not get smaller anyway is not compressed once more. */
export function compressBlob(content: Uint8Array): Uint8Array {
  const room = new Uint8Array(largestFrame(content.length));
  return room.subarray(0, compressInto(room, 0, content));
}

/** The most bytes that `compressInto` writes for so many. */
export function largestFrame(sizeBytes: number): number {
  // zstd's own bound (ZSTD_COMPRESSBOUND) is smaller than raw blocks for all but the smallest contents.
  return (
    FRAME_HEADER + sizeBytes + Math.ceil(sizeBytes / LARGEST_BLOCK) * BLOCK_HEADER + 64 + (sizeBytes >> 8)
  );
}

/** Writes the frame at `at`, and gives where it ends. Errors: RangeError for more than a blob may have. */
export function compressInto(target: Uint8Array, at: number, content: Uint8Array): number {
  if (content.length > MAX_BLOB_BYTES)
    throw new RangeError(`a blob has at most ${MAX_BLOB_BYTES} bytes, not ${content.length}`);
  if (looksIncompressible(content)) return rawFrame(target, at, content);
  // Size and output known beforehand: zstd allocates less, and node:zlib needs one round instead of many.
  const frame = zstdCompressSync(content, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: content.length,
    chunkSize: content.length + 1024,
  });
  target.set(frame, at);
  return at + frame.length;
}

/** A frame of raw blocks (RFC 8878, 3.1.1.2.2): single segment, content size in 4 bytes, no checksum. The blob id is one. */
function rawFrame(target: Uint8Array, at: number, content: Uint8Array): number {
  const view = new DataView(target.buffer, target.byteOffset);
  view.setUint32(at, 0xfd2fb528, true);
  view.setUint8(at + 4, 0b1010_0000);
  view.setUint32(at + 5, content.length, true);
  let end = at + FRAME_HEADER;
  for (let start = 0; start < content.length; start += LARGEST_BLOCK) {
    const block = content.subarray(start, start + LARGEST_BLOCK);
    const last = start + LARGEST_BLOCK >= content.length ? 1 : 0;
    const header = (block.length << 3) | last;
    view.setUint16(end, header & 0xffff, true);
    view.setUint8(end + 2, header >> 16);
    target.set(block, end + BLOCK_HEADER);
    end += BLOCK_HEADER + block.length;
  }
  return end;
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
