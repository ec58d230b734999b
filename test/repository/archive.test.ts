import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { archivePath, buildArchive, extractArchive } from '../../src/repository/archive.ts';
import type { ArchivedFile } from '../../src/repository/manifest.ts';
import type { ArchiveInput } from '../../src/repository/port.ts';
import { endOfTar, paddingAfter, tarHeader } from '../../src/repository/ustar.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

let root: string;
let target: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lifeboat-archive-'));
  target = join(root, 'target');
});

afterEach(() => rm(root, { recursive: true }));

function input(source: string, body: string | Uint8Array, mode = 0o600): ArchiveInput {
  return { path: archivePath(source), source, role: 'other', mode, body: Buffer.from(body) };
}

const files = [
  input('/etc/matrix-synapse/homeserver.yaml', 'server_name: example.org\n', 0o640),
  input('/etc/matrix-synapse/conf.d/empty.yaml', '', 0o644),
  input('/var/lib/matrix-synapse/example.org.signing.key', 'ed25519 a_test AAAA\n'),
  input('/etc/matrix-synapse/größe/設定.yaml', randomBytes(5000)),
];

interface RawMember {
  readonly name: string;
  readonly body?: string;
  /** ustar type flag: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 folder, 6 FIFO. */
  readonly type?: string;
  readonly link?: string;
}

/** Writes what `tarHeader` would refuse to write. */
function rawTar(members: readonly RawMember[]): Uint8Array {
  const parts = members.flatMap(({ name, body = '', type = '0', link = '' }) => {
    const header = Buffer.from(tarHeader('placeholder', Buffer.byteLength(body)));
    header.fill(0, 0, 100).write(name, 0, 'utf8');
    header.write(type, 156, 'latin1');
    header.write(link, 157, 'latin1');
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return [header, Buffer.from(body), paddingAfter(Buffer.byteLength(body))];
  });
  return Buffer.concat([...parts, endOfTar]);
}

function declare(path: string, body: string): ArchivedFile {
  const sha256 = createHash('sha256').update(body).digest('hex');
  return { path, source: `/${path}`, role: 'other', mode: 0o600, sizeBytes: Buffer.byteLength(body), sha256 };
}

const here = (): Promise<string[]> => readdir(root, { recursive: true });

describe('an archive', () => {
  it('gives files back with their content and mode, in private folders', async () => {
    const archive = await buildArchive(files);
    await extractArchive(archive.tar, archive.files, target);
    for (const file of files) {
      expect(Buffer.compare(await readFile(join(target, file.path)), file.body)).toBe(0);
      expect((await stat(join(target, file.path))).mode & 0o7777).toBe(file.mode);
    }
    expect((await stat(target)).mode & 0o777).toBe(0o700);
    expect((await stat(join(target, 'etc/matrix-synapse'))).mode & 0o777).toBe(0o700);
  });

  it('states size and hash of each file, and nothing of its content', async () => {
    const archive = await buildArchive(files);
    expect(archive.files[0]).toEqual({
      path: 'etc/matrix-synapse/homeserver.yaml',
      source: '/etc/matrix-synapse/homeserver.yaml',
      role: 'other',
      mode: 0o640,
      sizeBytes: 25,
      sha256: createHash('sha256').update('server_name: example.org\n').digest('hex'),
    });
  });

  it('is opened by GNU tar', async () => {
    await writeFile(join(root, 'archive.tar'), (await buildArchive(files)).tar);
    await mkdir(target);
    const run = spawnSync('tar', ['-x', '-p', '-f', join(root, 'archive.tar'), '-C', target]);
    expect([run.status, run.stderr.toString()]).toEqual([0, '']);
    for (const file of files) {
      expect(Buffer.compare(await readFile(join(target, file.path)), file.body)).toBe(0);
      expect((await stat(join(target, file.path))).mode & 0o777).toBe(file.mode);
    }
  });

  it('gives directories back with their mode, and links as they were, made after everything else', async () => {
    const nothing = Buffer.alloc(0);
    const tree: ArchiveInput[] = [
      { ...input('/etc/x/link', ''), role: 'extra', type: 'symlink', target: '/etc/passwd', body: nothing },
      { ...input('/etc/x', ''), role: 'extra', type: 'directory', mode: 0o750, body: nothing },
      { ...input('/etc/x/file', 'content'), role: 'extra' },
      { ...input('/etc/x/empty', ''), role: 'extra', type: 'directory', mode: 0o555, body: nothing },
    ];
    const archive = await buildArchive(tree);
    await extractArchive(archive.tar, archive.files, target);
    expect(await readlink(join(target, 'etc/x/link'))).toBe('/etc/passwd');
    expect((await stat(join(target, 'etc/x'))).mode & 0o777).toBe(0o750);
    expect((await stat(join(target, 'etc/x/empty'))).mode & 0o777).toBe(0o555);
    expect(await readFile(join(target, 'etc/x/file'), 'utf8')).toBe('content');
  });

  it('tells GNU tar the owner of a file, by number and by name', async () => {
    const owned = { ...input('/etc/x', 'x'), uid: 991, gid: 992, owner: 'synapse', group: 'matrix' };
    const archive = await buildArchive([owned]);
    await writeFile(join(root, 'archive.tar'), archive.tar);
    const list = (...more: string[]) =>
      spawnSync('tar', ['-tv', ...more, '-f', join(root, 'archive.tar')]).stdout.toString();
    expect(list()).toMatch(/synapse\/matrix .* etc\/x\n$/);
    expect(list('--numeric-owner')).toContain('991/992');
    expect(archive.files[0]).toMatchObject({ uid: 991, gid: 992, owner: 'synapse', group: 'matrix' });
  });

  it('is given to the owners that the caller finds for them, which takes root', async () => {
    const archive = await buildArchive([{ ...input('/etc/x', 'x'), owner: 'synapse' }, input('/etc/y', 'y')]);
    const ownerOf = ({ owner }: ArchivedFile) => (owner === undefined ? undefined : { uid: 1234, gid: 1235 });
    const extracted = extractArchive(archive.tar, archive.files, target, ownerOf);
    if (process.getuid?.() !== 0) return expect(extracted).rejects.toMatchObject({ code: 'file-unwritable' });
    await extracted;
    expect(await stat(join(target, 'etc/x'))).toMatchObject({ uid: 1234, gid: 1235 });
    expect(await stat(join(target, 'etc/y'))).toMatchObject({ uid: 0, gid: 0 });
  });

  it('of nothing is an archive too', async () => {
    const archive = await buildArchive([]);
    await extractArchive(archive.tar, [], target);
    expect(await readdir(target)).toEqual([]);
  });

  it('keeps neither setuid nor other special bits', async () => {
    const archive = await buildArchive([input('/usr/bin/x', 'x', 0o104755)]);
    await extractArchive(archive.tar, [{ ...archive.files[0]!, mode: 0o6755 }], target);
    expect((await stat(join(target, 'usr/bin/x'))).mode & 0o7777).toBe(0o755);
  });

  it('finds room for a path of any length', async () => {
    const deep = `/${'folder/'.repeat(60)}homeserver.yaml`;
    const wide = `/etc/${'x'.repeat(250)}`;
    for (const source of [deep, wide, `/${'y/'.repeat(70)}${'z'.repeat(99)}`]) {
      const archive = await buildArchive([input(source, source)]);
      await extractArchive(archive.tar, archive.files, join(target, archivePath(source).slice(0, 20)));
    }
    expect(archivePath(deep)).not.toBe(archivePath(`/other${deep}`));
  });

  it.each([
    ['the same path twice', ['a', 'a']],
    ['a path above the target', ['../a']],
    ['an absolute path', ['/a']],
    ['an empty path', ['']],
    ['a path with NUL', ['a\0b']],
    ['a path that no tar header holds', ['x'.repeat(101)]],
  ])('is not built with %s', async (_, paths) => {
    const inputs = paths.map((path) => ({ ...input('/x', 'x'), path }));
    await expect(buildArchive(inputs)).rejects.toMatchObject({ code: 'archive-unsafe' });
  });

  it('is not built when no restore would accept it: a link with a file below it, a link where a restore reads', async () => {
    const link = { ...input('/etc/x', ''), role: 'extra', type: 'symlink', target: '/srv' } as const;
    await expect(buildArchive([link, input('/etc/x/file', 'x')])).rejects.toMatchObject({
      code: 'archive-unsafe',
      message: expect.stringContaining('"etc/x" as a symlink and as a folder'),
    });
    await expect(buildArchive([{ ...link, role: 'signing-key' }])).rejects.toMatchObject({
      code: 'archive-unsafe',
    });
  });
});

describe('a hostile archive', () => {
  const honest = { name: 'honest', body: 'honest' };
  const outside = 'outside';

  it.each<[string, RawMember[]]>([
    ['a path above the target', [{ name: '../outside', body: outside }]],
    ['a path that goes up in its middle', [{ name: 'a/../../outside', body: outside }]],
    ['an absolute path', [{ name: '/tmp/outside', body: outside }]],
    ['a path of dots', [{ name: '.', body: outside }]],
    ['a symbolic link', [{ name: 'link', type: '2', link: '/etc/passwd' }]],
    [
      'a symbolic link and a file through it',
      [
        { name: 'link', type: '2', link: '..' },
        { name: 'link/outside', body: outside },
      ],
    ],
    ['a hard link', [{ name: 'link', type: '1', link: '/etc/passwd' }]],
    ['a character device', [{ name: 'device', type: '3' }]],
    ['a block device', [{ name: 'device', type: '4' }]],
    ['a folder', [{ name: 'folder', type: '5' }]],
    ['a FIFO', [{ name: 'fifo', type: '6' }]],
    ['a PAX header that renames the next file', [{ name: 'x', type: 'x', body: '19 path=../outside\n' }]],
    ['a GNU long name', [{ name: '././@LongLink', type: 'L', body: '../outside' }]],
    ['the same file twice', [honest]],
    ['a file that nobody declared', [{ name: 'undeclared', body: outside }]],
  ])('with %s is refused before anything is written', async (_, members) => {
    const declared = [
      honest,
      ...members.filter((member) => member !== honest && member.name !== 'undeclared'),
    ];
    const tar = rawTar([honest, ...members]);
    const files = declared.map(({ name, body = '' }) => declare(name, body));
    await expect(extractArchive(tar, files, target)).rejects.toMatchObject({ code: 'archive-unsafe' });
    // Also when the manifest is honest.
    await expect(extractArchive(tar, files.slice(0, 1), target)).rejects.toMatchObject({
      code: 'archive-unsafe',
    });
    expect(await here()).toEqual([]);
  });

  it.each<[string, string[]]>([
    ['names a path above the target', ['../outside']],
    ['names a path with NUL', ['a\0b']],
    ['names a file twice', ['a', 'a']],
    ['names a file below a file', ['a', 'a/b']],
  ])('is refused when its manifest %s', async (_, paths) => {
    const tar = rawTar([{ name: 'a', body: 'a' }]);
    const declared = paths.map((path) => declare(path, 'a'));
    await expect(extractArchive(tar, declared, target)).rejects.toMatchObject({ code: 'archive-unsafe' });
    expect(await here()).toEqual([]);
  });

  it('with a declared link is refused where a restore would read it, or where it leads elsewhere than declared', async () => {
    const tar = rawTar([{ name: 'link', type: '2', link: '/etc/shadow' }]);
    const link = { ...declare('link', ''), type: 'symlink', target: '/etc/shadow' } as const;
    for (const hostile of [
      { ...link, role: 'signing-key' },
      { ...link, role: 'extra', target: 'elsewhere' },
      { ...declare('link', ''), role: 'extra' },
      { ...link, role: 'extra', type: 'directory' } as const,
    ])
      await expect(extractArchive(tar, [hostile], target)).rejects.toMatchObject({ code: 'archive-unsafe' });
    expect(await here()).toEqual([]);
  });

  it('with a file below a declared link is refused', async () => {
    const tar = rawTar([
      { name: 'link', type: '2', link: '..' },
      { name: 'link/outside', body: outside },
    ]);
    const link = { ...declare('link', ''), role: 'extra', type: 'symlink', target: '..' } as const;
    await expect(extractArchive(tar, [link, declare('link/outside', outside)], target)).rejects.toMatchObject(
      { code: 'archive-unsafe' },
    );
    expect(await here()).toEqual([]);
  });

  it('made by GNU tar, with a link to an outside folder and a file behind it, is refused', async () => {
    await mkdir(join(root, 'made'));
    await mkdir(join(root, 'elsewhere'));
    await symlink('../elsewhere', join(root, 'made/link'));
    const tarFile = join(root, 'made.tar');
    expect(spawnSync('tar', ['-c', '-f', tarFile, '-C', join(root, 'made'), 'link']).status).toBe(0);
    await expect(
      extractArchive(await readFile(tarFile), [declare('link', '')], target),
    ).rejects.toMatchObject({
      code: 'archive-unsafe',
    });
    expect(await readdir(join(root, 'elsewhere'))).toEqual([]);
  });
});

describe('a damaged archive', () => {
  it('is refused for every length that it can be cut to', async () => {
    const archive = await buildArchive(files);
    for (let length = 0; length < archive.tar.length; length += 256) {
      const cut = archive.tar.subarray(0, length);
      await expect(extractArchive(cut, archive.files, target)).rejects.toMatchObject({
        code: 'repository-damaged',
      });
    }
    expect(await here()).toEqual([]);
  });

  it('is refused when a whole member is missing', async () => {
    const archive = await buildArchive(files);
    const shorter = await buildArchive(files.slice(0, -1));
    await expect(extractArchive(shorter.tar, archive.files, target)).rejects.toMatchObject({
      code: 'repository-damaged',
      message: expect.stringContaining('設定.yaml'),
    });
  });

  it('never gives other content or other names for a flipped bit anywhere', async () => {
    const small = await buildArchive(files.slice(0, 3));
    let accepted = 0;
    const failed = { code: expect.stringMatching(/^(repository-damaged|archive-unsafe)$/) };
    for (let at = 0; at < small.tar.length; at += 1) {
      const flipped = Uint8Array.from(small.tar);
      flipped[at]! ^= 1 << (at % 8);
      const place = join(root, `flipped-${at}`);
      const error: unknown = await extractArchive(flipped, small.files, place).catch(
        (thrown: unknown) => thrown,
      );
      if (error !== undefined) {
        expect(error).toMatchObject(failed);
        continue;
      }
      accepted += 1;
      for (const file of files.slice(0, 3)) expect(await readFile(join(place, file.path))).toEqual(file.body);
    }
    // A NUL behind a number may become a space: tars write either.
    expect(accepted).toBeLessThan(50);
  });

  it('is refused when one bit of a content is flipped', async () => {
    const archive = await buildArchive(files);
    const flipped = Uint8Array.from(archive.tar);
    flipped[520]! ^= 4;
    await expect(extractArchive(flipped, archive.files, target)).rejects.toMatchObject({
      code: 'repository-damaged',
      message: expect.stringContaining('homeserver.yaml'),
    });
    expect(await here()).toEqual([]);
  });
});

describe('a target', () => {
  it('with a link on the way is refused, and nothing is written through it', async () => {
    const archive = await buildArchive(files);
    await mkdir(join(root, 'elsewhere'));
    await mkdir(target);
    await symlink(join(root, 'elsewhere'), join(target, 'etc'));
    await expect(extractArchive(archive.tar, archive.files, target)).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    expect(await readdir(join(root, 'elsewhere'))).toEqual([]);
    expect(await readdir(target)).toEqual(['etc']);
  });

  it('with one of the files is refused before any other is written', async () => {
    const archive = await buildArchive(files);
    const path = join(target, files[2]!.path);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, 'precious');
    await expect(extractArchive(archive.tar, archive.files, target)).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    expect(await readFile(path, 'utf8')).toBe('precious');
    await expect(lstat(join(target, 'etc'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
