import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LifeboatError } from '../core/errors.ts';
import { buffersOf, doJob, type Job, type JobResult } from './heavy-work.ts';
import type { Answer } from './heavy-worker.ts';

/** More would only wait for the disk, and each holds two packs. */
const MOST_WORKERS = 4;
/** Below this a job is done before another thread has woken up. */
const TOO_SMALL = 64 * 1024;

interface Lane {
  readonly worker: Worker;
  readonly pending: { resolve(result: JobResult): void; reject(error: unknown): void }[];
}

let lanes: Lane[] | undefined;

/**
 * Does a job in a worker thread, of which the process has as many as processors (4 at most), started when they are first
 * needed; an idle one does not keep the process alive. The job's buffers come back with the result.
 * Errors: those of the job; `internal` when the thread ends.
 */
export async function inWorker(job: Job): Promise<JobResult> {
  if (job.bytes.length < TOO_SMALL) return doJob(job);
  lanes ??= Array.from({ length: workerCount() }, startLane);
  const lane = lanes.reduce((least, one) => (one.pending.length < least.pending.length ? one : least));
  return new Promise((resolve, reject) => {
    if (lane.pending.length === 0) lane.worker.ref();
    lane.pending.push({ resolve, reject });
    lane.worker.postMessage(job, buffersOf(job));
  });
}

/** Jobs that can be under way at once without one waiting long for another. */
export function workerCount(): number {
  return Math.min(MOST_WORKERS, availableParallelism());
}

function startLane(): Lane {
  // The same name beside this file, in sources and in what is built of them.
  const worker = new Worker(new URL(`heavy-worker${extname(import.meta.url)}`, import.meta.url), {
    // Its work is in buffers outside of the heap.
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
  const lane: Lane = { worker, pending: [] };
  worker.on('message', (answer: Answer) => {
    const waiting = lane.pending.shift()!;
    if (lane.pending.length === 0) worker.unref();
    if ('result' in answer) waiting.resolve(answer.result);
    else waiting.reject(new LifeboatError(answer.error.code, answer.error.message));
  });
  const end = (why: unknown) => {
    lanes = undefined;
    const error = new LifeboatError('internal', 'a worker thread ended', { cause: why });
    for (const { reject } of lane.pending.splice(0)) reject(error);
  };
  worker.on('error', end);
  worker.on('exit', end);
  // After the listeners: the first one of `message` would keep the process alive again.
  worker.unref();
  return lane;
}
