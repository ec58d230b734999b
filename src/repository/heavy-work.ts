import { createHash } from 'node:crypto';
import { compressInto } from './compress.ts';
import { openInPlace, openPartInPlace, sealInPlace, type PayloadPart } from './seal-payload.ts';

/**
 * What takes a processor's time, as jobs of plain data that a worker thread does (heavy-worker.ts). Buffers are handed over, not
 * copied, and come back with the result: whoever gives a job away cannot use them meanwhile.
 */
export type Job =
  /** Contents one behind the other in `bytes`, each ending at its entry of `ends`, become zstd frames likewise in `room`. */
  | {
      readonly kind: 'compress';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly ends: readonly number[];
      /** At least the sum of `largestFrame`. */
      readonly room: Uint8Array<ArrayBuffer>;
    }
  /** The first `plaintextBytes` become an age file in the same buffer, which has room for it. */
  | {
      readonly kind: 'seal';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly plaintextBytes: number;
      readonly header: Uint8Array;
      readonly fileKey: Uint8Array;
    }
  /** An age file becomes its plaintext in the same buffer. */
  | {
      readonly kind: 'open';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly headerBytes: number;
      readonly fileKey: Uint8Array;
    }
  /** Chunks of an age file become their plaintext in the same buffer. */
  | {
      readonly kind: 'open-part';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly fileKey: Uint8Array;
      readonly part: PayloadPart;
    };

export interface JobResult {
  /** The frames, the file, or the plaintext. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of `compress`: where each frame ends. */
  readonly ends: readonly number[];
  /** Of `seal`: the name of the file, lower-case hex. */
  readonly sha256: string;
  /** What the job brought besides, to be used again. */
  readonly spare: Uint8Array<ArrayBuffer> | undefined;
}

export function doJob(job: Job): JobResult {
  if (job.kind === 'seal') {
    const bytes = sealInPlace(job.bytes, job.plaintextBytes, job.header, job.fileKey);
    return {
      bytes,
      ends: [],
      sha256: createHash('sha256').update(bytes).digest('hex'),
      spare: undefined,
    };
  }
  if (job.kind === 'open') {
    const bytes = openInPlace(job.bytes, job.headerBytes, job.fileKey);
    return { bytes, ends: [], sha256: '', spare: undefined };
  }
  if (job.kind === 'open-part') {
    const bytes = openPartInPlace(job.bytes, job.fileKey, job.part);
    return { bytes, ends: [], sha256: '', spare: undefined };
  }
  const { bytes, ends, room } = job;
  let at = 0;
  const frameEnds = ends.map((end, index) => {
    at = compressInto(room, at, bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
    return at;
  });
  return { bytes: room.subarray(0, at), ends: frameEnds, sha256: '', spare: bytes };
}

/** The buffers that go with a message. */
export function buffersOf(message: Job | JobResult): ArrayBuffer[] {
  const further = 'room' in message ? message.room : 'spare' in message ? message.spare : undefined;
  return further === undefined ? [message.bytes.buffer] : [message.bytes.buffer, further.buffer];
}
