import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const LIFEBOAT = join(import.meta.dirname, '../../bin/lifeboat.js');
/** The demo takes about 45 s of two quiet cores. */
const WHOLE_DEMO_MS = 400_000;

let directory: string;
let temporary: string;
let reports: string;

beforeEach(async () => {
  // Short: sockets in it may have paths of 107 bytes at most.
  directory = await mkdtemp(join(tmpdir(), 'lb-demo-'));
  temporary = join(directory, 't');
  reports = join(directory, 'reports');
  await mkdir(temporary);
  for (const each of [directory, temporary]) await chmod(each, 0o755);
});

afterEach(async () => await rm(directory, { recursive: true, force: true }));

/** Runs the demo, and interrupts it a moment after it said that. */
async function demo(interruptAfter?: string): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, [LIFEBOAT, 'demo', '--report-dir', reports], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  let said = '';
  let sent = false;
  const hear = (chunk: Buffer) => {
    said += chunk.toString();
    if (sent || interruptAfter === undefined || !said.includes(interruptAfter)) return;
    // Once: a second Ctrl-C means that a person does not want to wait for the cleaning up.
    sent = true;
    void sleep(500).then(() => child.kill('SIGINT'));
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, said };
}

/** Command lines of processes that were told of our directory; PostgreSQL's children may need a moment to see that it is gone. */
async function remaining(): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
    );
    const ours = lines.filter((line) => line.includes(temporary));
    if (ours.length === 0 || tries === 50) return ours;
    await sleep(100);
  }
}

describe('the demo', () => {
  it(
    'loses a homeserver, gets it back, says where the report lies, and leaves nothing else',
    async () => {
      const { status, said } = await demo();
      expect(said).toContain('What was shown');
      expect(status).toBe(0);
      expect(said).toContain('5 users with devices and one-time keys, 4 rooms');
      expect(said).toContain('database dropped; media, signing key and configuration deleted');
      expect(said).toMatch(/drill +PASS, \d+ of \d+ checks passed/);
      expect(said).toMatch(/a message of @zoe:\S+ reached @alice:\S+ after/);
      expect(said).toMatch(/a message of @alice:\S+ reached @zoe:\S+ after/);
      const report = /^ {2}report +(\/\S+\.html)$/m.exec(said)?.[1];
      expect(await readFile(report ?? '', 'utf8')).toMatch(/^<!doctype html>/i);
      expect(await readdir(temporary)).toEqual([]);
      expect(await remaining()).toEqual([]);
    },
    WHOLE_DEMO_MS,
  );

  it.each([
    ['while servers start', '[1/6]'],
    ['while people talk', '[2/6]'],
  ])('ends at once and leaves nothing when it is interrupted %s', async (_, when) => {
    const { status, said } = await demo(when);
    expect(said).toContain('lifeboat: error: the demo was interrupted');
    expect(said).toContain(`${when} `);
    expect(said).toContain('broke off after');
    expect(status).toBe(130);
    expect(await readdir(temporary)).toEqual([]);
    expect(await remaining()).toEqual([]);
  });
});
