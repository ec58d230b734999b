import { createHash } from 'node:crypto';
import { compressBlob } from './compress.ts';
import { sealPayload } from './seal-payload.ts';

/**
 * What takes a processor's time, as jobs of plain data that a worker thread does (heavy-worker.ts). Bytes are handed over, not
 * copied: whoever gives a job away cannot read its buffers any more.
 */
export type Job =
  /** Contents one behind the other, each ending at its entry of `ends`, become zstd frames likewise. */
  | { readonly kind: 'compress'; readonly bytes: Uint8Array<ArrayBuffer>; readonly ends: readonly number[] }
  /** The age file of a plaintext, and the SHA-256 that names it. */
  | {
      readonly kind: 'seal';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly header: Uint8Array;
      readonly fileKey: Uint8Array;
    };

export interface JobResult {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of `compress`: where each frame ends. */
  readonly ends: readonly number[];
  /** Of `seal`: lower-case hex. */
  readonly sha256: string;
}

export function doJob(job: Job): JobResult {
  switch (job.kind) {
    case 'compress':
      return compressAll(job.bytes, job.ends);
    case 'seal': {
      const bytes = sealPayload(job.header, job.fileKey, job.bytes);
      return { bytes, ends: [], sha256: createHash('sha256').update(bytes).digest('hex') };
    }
  }
}

function compressAll(bytes: Uint8Array, ends: readonly number[]): JobResult {
  const frames = ends.map((end, index) =>
    compressBlob(bytes.subarray(index === 0 ? 0 : ends[index - 1], end)),
  );
  const joined = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  let at = 0;
  const frameEnds = frames.map((frame) => {
    joined.set(frame, at);
    at += frame.length;
    return at;
  });
  return { bytes: joined, ends: frameEnds, sha256: '' };
}
