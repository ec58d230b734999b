import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const RESTORE = join(import.meta.dirname, '../../src/media/restore.ts');

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-media-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** Restores three files in a process of its own under strace(1). */
async function restoreUnderStrace(...options: readonly string[]): Promise<{ trace: string; said: string }> {
  const script = `
    import { Readable } from 'node:stream';
    import { createMediaRoot, writeMediaFiles } from ${JSON.stringify(RESTORE)};
    const root = await createMediaRoot(${JSON.stringify(join(directory, 'media'))}, { durable: true });
    const file = (name) => ({ path: 'local_content/' + name, mode: 0o600, sizeBytes: 5, sha256: undefined,
      open: () => Readable.from([Buffer.from('hello')]) });
    await writeMediaFiles(root, ['a', 'b', 'c'].map(file), { onDone: () => {} })
      .catch((error) => console.log(error.code + ': ' + error.message));`;
  const trace = join(directory, 'trace');
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const { stdout } = await run('strace', ['-f', '-qq', '-o', trace, ...options, ...node]);
  return { trace: await readFile(trace, 'utf8'), said: stdout };
}

describe('a restore of media that must last', () => {
  it('has the content of files on the disk before their names, and the names before it ends', async () => {
    const { trace, said } = await restoreUnderStrace('-e', 'trace=write,syncfs,link');
    expect(said).toBe('');
    const calls = trace
      .split('\n')
      .flatMap((line) => /\b(syncfs|link)\(|\bwrite\(\d+, "(hello)", 5\)/.exec(line)?.slice(1, 3) ?? [])
      .filter((call) => call !== undefined);
    expect(calls).toEqual([...['hello', 'hello', 'hello', 'syncfs', 'link', 'link', 'link', 'syncfs']]);
  });

  it('leaves no name, nor anything staged, when the disk does not take the content', async () => {
    const { said } = await restoreUnderStrace('-e', 'trace=syncfs', '-e', 'inject=syncfs:error=EIO');
    expect(said).toMatch(/^file-unwritable: .* could not be written to the disk: .*Input\/output error/);
    expect(await readdir(join(directory, 'media'))).toEqual(['local_content']);
    expect(await readdir(join(directory, 'media/local_content'))).toEqual([]);
  });
});
