import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openMediaDirectory, type MediaDirectory } from '../../src/media/directory.ts';
import { all, sha256, store } from './store.ts';

const FILE = 'local_content/aa/bb/cccc';
const read = (directory: MediaDirectory, path: string) => directory.readSmall(path, new Uint8Array(64));
/** More than one piece of a read. */
const LARGE = Buffer.alloc(3 * 1024 * 1024 + 17, 'lifeboat');

describe('a media directory', () => {
  it('gives size, content and hash of its files', async () => {
    const root = await store({
      [FILE]: 'hello',
      'local_content/aa/bb/large': LARGE,
      'local_content/aa/bb/empty': '',
    });
    await chmod(join(root, FILE), 0o640);
    const directory = await openMediaDirectory(root);
    expect(directory.look(FILE)).toMatchObject({ sizeBytes: 5 });
    expect((await buffer(directory.read(FILE))).toString()).toBe('hello');
    expect((await buffer(directory.read('local_content/aa/bb/large'))).equals(LARGE)).toBe(true);
    expect(await buffer(directory.read('local_content/aa/bb/empty'))).toHaveLength(0);
    expect(await directory.sha256('local_content/aa/bb/large')).toBe(sha256(LARGE));
  });

  it('says of a missing file that it is missing, and nothing else', async () => {
    const directory = await openMediaDirectory(await store({ [FILE]: 'x' }));
    expect(read(directory, 'local_content/aa/bb/none')).toBeUndefined();
    expect(read(directory, `${FILE}/below-a-file`)).toBeUndefined();
    expect(read(directory, `local_content/${'x'.repeat(300)}`)).toBeUndefined();
    expect(await directory.sha256('local_content/none')).toBeUndefined();
    expect(await directory.compare('local_content/none', { sizeBytes: 1, sha256: null })).toBe('missing');
    await expect(buffer(directory.read('local_content/none'))).rejects.toMatchObject({
      code: 'object-missing',
    });
  });

  it('finds a cut file by its size and a flipped bit by its hash', async () => {
    const root = await store({ [FILE]: 'hello' });
    const directory = await openMediaDirectory(root);
    const expected = { sizeBytes: 5, sha256: sha256('hello') };
    expect(await directory.compare(FILE, expected)).toBeUndefined();
    truncateSync(join(root, FILE), 3);
    expect(await directory.compare(FILE, expected)).toBe('3 bytes instead of 5');
    writeFileSync(join(root, FILE), 'hellp');
    expect(await directory.compare(FILE, expected)).toBe(
      `SHA-256 ${sha256('hellp')} instead of ${sha256('hello')}`,
    );
    expect(await directory.compare(FILE, { sizeBytes: null, sha256: null })).toBeUndefined();
  });

  it.each(['', '/etc/passwd', '../x', 'local_content/../../x', 'local_content//x', './x', 'a\0b'])(
    'refuses the path %j',
    async (path) => {
      const directory = await openMediaDirectory(await store());
      expect(() => read(directory, path)).toThrow(expect.objectContaining({ code: 'archive-unsafe' }));
    },
  );

  it('follows no symbolic link: not as a file, not on the way, not as a class folder', async () => {
    const root = await store({ [FILE]: 'x', 'elsewhere/bb/cccc': 'secret' });
    await symlink(join(root, 'elsewhere'), join(root, 'local_content/zz'));
    await symlink(join(root, FILE), join(root, 'local_content/aa/bb/link'));
    const directory = await openMediaDirectory(root);
    const refused = expect.objectContaining({ code: 'media-unreadable' });
    expect(() => read(directory, 'local_content/zz/bb/cccc')).toThrow(refused);
    expect(() => read(directory, 'local_content/aa/bb/link')).toThrow(refused);
    symlinkSync(join(root, 'elsewhere'), join(root, 'local_thumbnails'));
    await expect(openMediaDirectory(root)).rejects.toMatchObject({
      code: 'media-unreadable',
      message: `${root}/local_thumbnails is a symbolic link`,
    });
  });

  it('may itself be reached through a symbolic link', async () => {
    const [real, other] = [await store({ [FILE]: 'x' }), await store()];
    await symlink(real, join(other, 'media'));
    expect(read(await openMediaDirectory(join(other, 'media')), FILE)).toBeDefined();
  });

  it('does not wait for a fifo or a socket, and names it', async () => {
    const root = await store({ [FILE]: 'x' });
    execFileSync('mkfifo', [join(root, 'local_content/fifo')]);
    const server = createServer().listen(join(root, 'local_content/socket'));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const directory = await openMediaDirectory(root);
    for (const path of ['local_content/fifo', 'local_content/socket']) {
      expect(() => read(directory, path)).toThrow(`${join(root, path)} is not a regular file`);
    }
    expect((await all(directory.walk())).map(({ path }) => path)).toEqual([FILE]);
  });

  it('lists all its files in path order, with odd names, holes and depth', async () => {
    const deep = `local_content/${'d/'.repeat(200)}file`;
    const paths = [
      deep,
      FILE,
      'local_content/a-b',
      'local_content/a/b',
      'local_content/new\nline',
      'local_content/\u{1F600}',
      'local_content/\uFFFD',
      'url_cache/x',
    ];
    const directory = await openMediaDirectory(
      await store(Object.fromEntries(paths.map((path) => [path, 'x']))),
    );
    const walked = (await all(directory.walk())).map(({ path }) => path);
    expect(walked).toEqual(paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    expect((await all(directory.walk(['url_cache']))).map(({ path }) => path)).toEqual(['url_cache/x']);
  });

  it('is an error with a hint when it is missing', async () => {
    const root = await store();
    await expect(openMediaDirectory(join(root, 'gone'))).rejects.toMatchObject({
      code: 'media-unreadable',
      message: `the media directory ${root}/gone does not exist`,
    });
  });

  it('is an error that names path and reason when its user cannot read it', async () => {
    const root = await store({ file: 'x' });
    await mkdir(join(root, 'closed'), { mode: 0 });
    await chmod(root, 0o755);
    await expect(openMediaDirectory(join(root, 'file'))).rejects.toMatchObject({ code: 'media-unreadable' });
    const code = `await openMediaDirectory(${JSON.stringify(join(root, 'closed'))}).catch((e) => console.log(e.code, e.message, e.hints.length))`;
    const module = new URL('../../src/media/directory.ts', import.meta.url).href;
    // Root may read everything, unless it gives up the capabilities to; another user could not read a checkout in its home.
    const asAnybody =
      process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : [];
    const script = `const { openMediaDirectory } = await import(${JSON.stringify(module)}); ${code}`;
    const [program, ...args] = [...asAnybody, process.execPath, '--input-type=module', '-e', script];
    const output = execFileSync(program, args, { cwd: '/', encoding: 'utf8' });
    expect(output.trim()).toBe(`media-unreadable cannot read ${join(root, 'closed')}: EACCES 1`);
  });
});

describe('a media file that changes while it is read', () => {
  it.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 10)],
    ['is overwritten in place', (path: string) => writeFileSync(path, Buffer.alloc(LARGE.length, 'x'))],
  ])('and %s is noticed and read once more', async (_, change) => {
    const root = await store({ [FILE]: LARGE });
    const directory = await openMediaDirectory(root);
    let attempts = 0;
    const result = await directory.readStable(FILE, async (source, { sizeBytes }) => {
      attempts += 1;
      const pieces: Buffer[] = [];
      for await (const piece of source) {
        pieces.push(piece as Buffer);
        if (attempts === 1 && pieces.length === 1) change(join(root, FILE));
      }
      return { content: Buffer.concat(pieces), sizeBytes };
    });
    expect(attempts).toBe(2);
    expect(result).toMatchObject({ changed: true });
    expect(result!.value.content).toHaveLength(result!.value.sizeBytes);
    expect(sha256(result!.value.content)).toBe(await directory.sha256(FILE));
  });

  it('and never stops changing is an error, not a wrong copy', async () => {
    const root = await store({ [FILE]: LARGE });
    const directory = await openMediaDirectory(root);
    const reading = directory.readStable(FILE, async (source) => {
      for await (const _ of source) appendFileSync(join(root, FILE), 'x');
    });
    await expect(reading).rejects.toMatchObject({ code: 'media-changed' });
  });

  it('and vanishes after it was opened is still read wholly; before, it is missing', async () => {
    const root = await store({ [FILE]: LARGE });
    const directory = await openMediaDirectory(root);
    const result = await directory.readStable(FILE, async (source) => {
      unlinkSync(join(root, FILE));
      return buffer(source);
    });
    expect(result!.value.equals(LARGE)).toBe(true);
    expect(await directory.readStable(FILE, async () => 1)).toBeUndefined();
  });

  it('leaves no file open when the consumer fails or never reads', async () => {
    const root = await store({ [FILE]: LARGE });
    const directory = await openMediaDirectory(root);
    const { readdirSync } = await import('node:fs');
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (let round = 0; round < 20; round += 1) {
      await directory.readStable(FILE, async () => 'not read');
      await expect(
        directory.readStable(FILE, async (source) => {
          for await (const _ of source) throw new Error('consumer failed');
        }),
      ).rejects.toThrow('consumer failed');
    }
    expect(open()).toBeLessThanOrEqual(before + 1);
    mkdirSync(join(root, 'still-usable'));
  });
});
