import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../repository/fixture.ts';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('repository-full-disk-child.ts', import.meta.url));

it.each([1300, 2048, 3072])(
  'a backup onto a full disk of %i KiB fails as a whole, and the next one works after a prune',
  { timeout: 60_000 },
  async (size) => {
    await using folder = await temporaryFolder();
    const mounted = join(folder.path, 'mounted');
    await mkdir(mounted);
    // A mount namespace of its own: an ordinary user may do this, and the mount goes away with the process.
    const script = `mount -t tmpfs -o size=${size}k tmpfs "$1" && exec "$2" "$3" "$1" ${size + 64}k`;
    const args = ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', mounted, process.execPath, CHILD];
    const { stdout } = await run('unshare', args, { env: { ...process.env, TMPDIR: folder.path } });
    expect(JSON.parse(stdout)).toMatchObject({
      codes: ['disk-full', 'disk-full', 'disk-full'],
      checked: true,
      snapshots: 1,
      first: true,
      readBackEqual: true,
    });
  },
);
