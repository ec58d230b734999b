import { execFile } from 'node:child_process';
import { mkdtemp, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const BIN = new URL('../../bin/lifeboat.js', import.meta.url).pathname;

interface Failed {
  readonly code: number;
  readonly stderr: string;
}

describe('bin/lifeboat.js', () => {
  it('starts the program, and hands on its exit status', async () => {
    expect((await run(process.execPath, [BIN, '--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const failed = await run(process.execPath, [BIN, 'sail']).catch((error: unknown) => error as Failed);
    expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining("unknown command 'sail'") });
  });

  it('ends without a word when the reader of its output goes away', async () => {
    const { stdout } = await run('bash', [
      '-c',
      `"$0" "$1" --help | head -n 1; echo "\${PIPESTATUS[0]}"`,
      process.execPath,
      BIN,
    ]);
    expect(stdout).toBe('Usage: lifeboat [options] [command]\n0\n');
  });

  it('in an old Node.js says which it needs, unless npm has brought a newer one', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-bin-'));
    try {
      await mkdir(join(directory, 'bin'));
      await cp(BIN, join(directory, 'bin/lifeboat.js'));
      await writeFile(join(directory, 'package.json'), '{"type": "module"}');
      // What it asks is the version that the process tells.
      const old = join(directory, 'old.cjs');
      await writeFile(
        old,
        "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });",
      );
      const asOld = () =>
        run(process.execPath, ['--require', old, join(directory, 'bin/lifeboat.js'), 'list']);
      expect(await asOld().catch((error: unknown) => error as Failed)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(
          /^lifeboat: error: needs Node\.js 24 or newer, this is 20\.20\.2\nhint: /,
        ),
      });
      await mkdir(join(directory, 'node_modules/node/bin'), { recursive: true });
      await writeFile(
        join(directory, 'node_modules/node/bin/node'),
        '#!/bin/sh\necho "newer $2"\nexit 11\n',
        { mode: 0o755 },
      );
      expect(await asOld().catch((error: unknown) => error as Failed)).toMatchObject({
        code: 11,
        stdout: 'newer list\n',
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
