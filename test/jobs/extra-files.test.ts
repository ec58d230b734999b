import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findExtraFiles } from '../../src/jobs/extra-files.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lifeboat-extra-'));
  await mkdir(join(root, 'coturn/tls/empty'), { recursive: true });
  await writeFile(join(root, 'coturn/turnserver.conf'), 'realm=x\n');
  await writeFile(join(root, 'coturn/tls/key.pem'), 'x');
  await symlink('tls/key.pem', join(root, 'coturn/link'));
});
afterEach(() => rm(root, { recursive: true }));

describe('files that lifeboat.yaml names by pattern', () => {
  it('are those that match; a directory with all that is in it, empty directories and links too', async () => {
    const { files, warnings } = await findExtraFiles([`${root}/cot*`]);
    expect(files.map(({ path, type }) => [path.slice(root.length), type])).toEqual([
      ['/coturn', 'directory'],
      ['/coturn/link', 'symlink'],
      ['/coturn/tls', 'directory'],
      ['/coturn/tls/empty', 'directory'],
      ['/coturn/tls/key.pem', undefined],
      ['/coturn/turnserver.conf', undefined],
    ]);
    expect(warnings).toEqual([]);
    expect(files.every(({ role, component }) => role === 'extra' && component === 'config')).toBe(true);
  });

  it('are taken once, whatever number of patterns match them, at any depth', async () => {
    const { files } = await findExtraFiles([`${root}/**/*.pem`, `${root}/coturn/tls/*.pem`]);
    expect(files.map(({ path }) => path)).toEqual([join(root, 'coturn/tls/key.pem')]);
  });

  it('are missed aloud: a pattern that matches nothing is a warning, a socket too', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'coturn/socket'), resolve));
    const { warnings } = await findExtraFiles([`${root}/none/*`, `${root}/coturn/socket`]);
    await new Promise((resolve) => server.close(resolve));
    expect(warnings).toEqual([
      expect.stringContaining('nothing is there that'),
      expect.stringContaining('is no file, directory or link and is left out'),
    ]);
  });

  it('are refused where they are data and not configuration: a large file, or many together', async () => {
    await truncate(join(root, 'coturn/turnserver.conf'), 17 * 1024 * 1024);
    await expect(findExtraFiles([`${root}/coturn`])).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/^config\.extra: .*turnserver\.conf has 17.* at most 16/),
    });
    for (let index = 0; index < 5; index += 1) {
      await writeFile(join(root, `coturn/big${index}`), '');
      await truncate(join(root, `coturn/big${index}`), 15 * 1024 * 1024);
    }
    await expect(findExtraFiles([`${root}/coturn/big*`])).rejects.toMatchObject({
      message: expect.stringContaining('more than 64'),
    });
  });

  it('are left out with a warning where an archive cannot hold them: a long link, names that are not UTF-8', async () => {
    await symlink('x/'.repeat(60), join(root, 'coturn/long'));
    const odd = (name: string) => Buffer.concat([Buffer.from(`${root}/coturn/${name}`), Buffer.from([0xff])]);
    await writeFile(odd('name'), '');
    await symlink(Buffer.from([0xff]), join(root, 'coturn/odd'));
    const { files, warnings } = await findExtraFiles([`${root}/coturn`, `${root}/coturn/nam*`]);
    expect(files.map(({ path }) => path.slice(root.length + 1))).not.toContain('coturn/long');
    expect(files).toHaveLength(6);
    expect(warnings.join('\n')).toMatch(/coturn\/long is a link to more than 100 bytes/);
    expect(warnings.join('\n')).toMatch(/has a name that is not UTF-8 and is left out/);
    expect(warnings.join('\n')).toMatch(/coturn\/odd is a link .* not UTF-8, and is left out/);
  });

  it('are refused by a relative pattern', async () => {
    await expect(findExtraFiles(['coturn/*'])).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
