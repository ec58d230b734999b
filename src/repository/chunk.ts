import { createHmac } from 'node:crypto';

/**
 * Content-defined chunking with a gear hash (FastCDC, Xia et al. 2016): boundaries follow the content, so that an insertion
 * moves only the chunks around it. The gear table comes from a key, so that chunk sizes betray no known content to whoever
 * sees them (eprint 2025/532).
 */
export interface ChunkSizes {
  /** Bytes; `average` is a power of two between the others. */
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

const DEFAULT_CHUNK_SIZES: ChunkSizes = { min: 16 * 1024, average: 64 * 1024, max: 256 * 1024 };

export interface Chunker {
  /** Takes the next bytes of the stream, cut anywhere, and gives the chunks that are complete now. They own their memory. */
  push(bytes: Uint8Array): Uint8Array[];
  /** The rest of the stream, at most one chunk; the chunker is then ready for another stream. */
  finish(): Uint8Array[];
}

/** Two bits harder before the average and two bits easier behind it: sizes gather around the average (FastCDC, 3.5). */
const NORMALISATION = 2;

/** Errors: RangeError for sizes out of order. */
export function createChunker(key: Uint8Array, sizes: ChunkSizes = DEFAULT_CHUNK_SIZES): Chunker {
  const { min, average, max } = sizes;
  const bits = Math.log2(average);
  if (!(min > 0 && min < average && average < max && Number.isInteger(bits))) {
    throw new RangeError(`chunk sizes are out of order: ${min}, ${average}, ${max}`);
  }
  const gear = gearTable(key);
  const hardMask = topBits(bits + NORMALISATION);
  const easyMask = topBits(bits - NORMALISATION);
  /** The unfinished chunk, and the hash of its bytes behind `min`. */
  const pending = new Uint8Array(max);
  let length = 0;
  let hash = 0;

  const take = (): Uint8Array => {
    const chunk = pending.slice(0, length);
    length = 0;
    hash = 0;
    return chunk;
  };

  return {
    push(bytes) {
      const chunks: Uint8Array[] = [];
      let at = 0;
      while (at < bytes.length) {
        // No boundary lies before `min`, so nothing is hashed there.
        const phaseEnd = length < min ? min : length < average ? average : max;
        const stop = Math.min(bytes.length, at + phaseEnd - length);
        let end = stop;
        let boundary = false;
        if (length >= min) {
          const mask = length < average ? hardMask : easyMask;
          let h = hash;
          for (let i = at; i < stop; i += 1) {
            h = ((h << 1) + (gear[bytes[i] as number] as number)) | 0;
            if ((h & mask) === 0) {
              end = i + 1;
              boundary = true;
              break;
            }
          }
          hash = h;
        }
        pending.set(bytes.subarray(at, end), length);
        length += end - at;
        at = end;
        if (boundary || length === max) chunks.push(take());
      }
      return chunks;
    },
    finish() {
      return length === 0 ? [] : [take()];
    },
  };
}

/** The upper bits of a gear hash depend on the last 32 bytes, the lower ones only on the last few. */
function topBits(count: number): number {
  return ~0 << (32 - count);
}

/** 256 words of 32 bits: HMAC-SHA-256(key, label and counter), eight words a block, big-endian so that every machine cuts alike. */
function gearTable(key: Uint8Array): Int32Array {
  const table = new Int32Array(256);
  for (let block = 0; block < 32; block += 1) {
    const words = createHmac('sha256', key).update(`lifeboat gear-v1 ${block}`).digest();
    for (let word = 0; word < 8; word += 1) table[block * 8 + word] = words.readInt32BE(word * 4);
  }
  return table;
}
