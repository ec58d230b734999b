import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Content } from './manifest.ts';

/** Cuts a stream into pieces: content-defined (chunk.ts) or fixed. */
export interface Pieces {
  push(bytes: Uint8Array): Uint8Array[];
  finish(): Uint8Array[];
}

/** Stores a stream piece by piece, in order. Rejects when the source fails. */
export async function storeStream(
  source: Readable,
  pieces: Pieces,
  store: (piece: Uint8Array, sha256?: Uint8Array) => Promise<string>,
): Promise<Content> {
  const hash = createHash('sha256');
  const blobs: string[] = [];
  let sizeBytes = 0;
  for await (const bytes of source as AsyncIterable<Uint8Array>) {
    hash.update(bytes);
    sizeBytes += bytes.length;
    for (const piece of pieces.push(bytes)) blobs.push(await store(piece));
  }
  const digest = hash.digest();
  // The only piece is the whole, and need not be hashed again.
  for (const piece of pieces.finish())
    blobs.push(await store(piece, piece.length === sizeBytes ? digest : undefined));
  return { sizeBytes, sha256: digest.toString('hex'), blobs };
}

/** Bytes of a stream that come to lie side by side in a pack although others are stored at the same time. */
const RUN_BYTES = 4 * 1024 * 1024;

/**
 * The same for a stream beside others: pieces are stored in runs, so that reading this stream alone does not read all others. Holds
 * one run in memory.
 */
export async function storeStreamInRuns(
  source: Readable,
  pieces: Pieces,
  storeRun: (pieces: readonly Uint8Array[]) => Promise<readonly string[]>,
): Promise<Content> {
  const hash = createHash('sha256');
  const blobs: string[] = [];
  let sizeBytes = 0;
  let run: Uint8Array[] = [];
  let runBytes = 0;
  const flush = async (): Promise<void> => {
    for (const blob of await storeRun(run)) blobs.push(blob);
    run = [];
    runBytes = 0;
  };
  const take = (some: readonly Uint8Array[]): void => {
    for (const piece of some) {
      run.push(piece);
      runBytes += piece.length;
    }
  };
  for await (const bytes of source as AsyncIterable<Uint8Array>) {
    hash.update(bytes);
    sizeBytes += bytes.length;
    take(pieces.push(bytes));
    if (runBytes >= RUN_BYTES) await flush();
  }
  take(pieces.finish());
  await flush();
  return { sizeBytes, sha256: hash.digest('hex'), blobs };
}

/** One blob up to the bound, fixed pieces above it: decided by the bytes that come, not by a size that may be out of date. */
export function filePieces(wholeBytes: number, pieceBytes: number): Pieces {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let cutting = false;
  const cut = (): Uint8Array[] => {
    const all = Buffer.concat(held, heldBytes);
    const end = heldBytes - (heldBytes % pieceBytes);
    held = [all.subarray(end)];
    heldBytes -= end;
    return Array.from({ length: end / pieceBytes }, (_, piece) =>
      all.subarray(piece * pieceBytes, (piece + 1) * pieceBytes),
    );
  };
  return {
    push(bytes) {
      held.push(bytes);
      heldBytes += bytes.length;
      cutting ||= heldBytes > wholeBytes;
      return cutting && heldBytes >= pieceBytes ? cut() : [];
    },
    finish: () => (heldBytes === 0 ? [] : [held.length === 1 ? held[0]! : Buffer.concat(held, heldBytes)]),
  };
}
