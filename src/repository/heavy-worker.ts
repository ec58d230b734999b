import { parentPort } from 'node:worker_threads';
import { isLifeboatError, messageOf, type ErrorCode } from '../core/errors.ts';
import { buffersOf, doJob, type Job, type JobResult } from './heavy-work.ts';

/** A worker thread of worker-pool.ts: one message a job, one answer each, in order. */
export type Answer =
  { readonly result: JobResult } | { readonly error: { readonly code: ErrorCode; readonly message: string } };

parentPort!.on('message', (job: Job) => {
  try {
    const result = doJob(job);
    parentPort!.postMessage({ result } satisfies Answer, buffersOf(result));
  } catch (error) {
    const code = isLifeboatError(error) ? error.code : 'internal';
    parentPort!.postMessage({ error: { code, message: messageOf(error) } } satisfies Answer, []);
  }
});
