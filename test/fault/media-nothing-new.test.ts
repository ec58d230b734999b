import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const FILES = 3000;
const BENCH = fileURLToPath(new URL('../../bench/lifeboat-media.ts', import.meta.url));
const SRC = fileURLToPath(new URL('../../src', import.meta.url));

/** A backup of media with nothing new, counted by its system calls; a real repository, the catalogue from a file. */
let directory: string;
let media: string;
let rows: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-nothing-new-'));
  media = join(directory, 'media_store');
  rows = join(directory, 'rows');
  const lines: string[] = [];
  for (let number = 0; number < FILES; number += 1) {
    const id = number.toString().padStart(6, '0');
    const path = `local_content/${id.slice(0, 2)}/${id.slice(2, 4)}/${id.slice(4)}`;
    const content = `media ${number}`;
    mkdirSync(dirname(join(media, path)), { recursive: true });
    writeFileSync(join(media, path), content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    lines.push(JSON.stringify({ path, sizeBytes: content.length, sha256 }));
  }
  writeFileSync(rows, `${lines.join('\n')}\n`);
  const place = join(directory, 'place');
  await run(process.execPath, [BENCH, SRC, 'init', place]);
  await run(process.execPath, [BENCH, SRC, 'backup', place, media, rows]);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Calls that name the media store or what is below it. */
async function callsInto(...argv: string[]): Promise<string[]> {
  const log = join(directory, 'strace');
  await run('strace', ['-f', '-y', '-qq', '-o', log, '-e', 'trace=%file,getdents64', ...argv]);
  return (await readFile(log, 'utf8')).split('\n').filter((line) => line.includes(media));
}

it(`looks at none of ${FILES} files whose SHA-256 the database has, where a walk looks at each`, async () => {
  const place = join(directory, 'place');
  const backup = await callsInto(process.execPath, BENCH, SRC, 'backup', place, media, rows);
  // Its own command line, and the look whether the directory is there and has no links.
  expect(backup.length).toBeLessThan(20);
  expect(backup.filter((line) => line.includes('local_content/'))).toEqual([]);
  const walk = await callsInto('find', media, '-type', 'f', '-size', '+1000k');
  expect(walk.length).toBeGreaterThan(FILES);
});
