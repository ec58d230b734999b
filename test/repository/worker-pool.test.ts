import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const CHILD = new URL('./worker-pool-child.ts', import.meta.url).pathname;

describe('worker threads', () => {
  it('let the process end by itself when their work is done, the idle ones too', async () => {
    // A process that hangs is ended after the time-out, and has failed.
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD], { timeout: 20_000 });
    expect(stdout.trim()).toBe('true');
  }, 30_000);
});
