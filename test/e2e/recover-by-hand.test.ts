import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { makeKit } from '../../src/jobs/kit/kit.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import { sha256 } from '../media/store.ts';
import {
  backUp,
  makeRepository,
  sampleSource,
  writeSource,
  type Fixture,
  type Source,
} from '../repository/fixture.ts';
import { listAll } from '../repository/memory-store.ts';
import { unzip } from '../verify/report/unzip.ts';

const run = promisify(execFile);
/** What RECOVER.md says is needed, and nothing else: no node on this PATH. */
const TOOLS =
  'bash age zstd jq tar sha256sum realpath dirname mkdir mktemp rm ls cat cut sed tr xargs sort head tail wc chmod diff'.split(
    ' ',
  );

const hostile: Source = {
  ...sampleSource('second'),
  media: {
    'local_content/plain': randomBytes(100_000),
    'local_content/with space and "quotes"': randomBytes(10),
    'local_content/new\nline': Buffer.from('newline'),
    'local_content/-n': Buffer.from('looks like an option'),
    'local_content/$(touch pwned)': Buffer.from('looks like a command'),
    'local_content/duplicate': Buffer.from('newline'),
    'local_content/ümläut/😀': Buffer.from('unicode'),
    'local_content/empty': Buffer.alloc(0),
    'local_content/large': randomBytes(9 * 1024 * 1024),
  },
};

it('restores any snapshot with age, zstd, jq and tar alone, equal to the source', async () => {
  await using fixture = await makeRepository();
  const first = sampleSource('first');
  const { entry: old } = await backUp(await fixture.open(), first);
  const { entry: newest } = await backUp(await fixture.open(), hostile);
  const bash = await handTools(fixture);

  const { stdout: list } = await bash('list');
  expect(
    list
      .split('\n')
      .filter((line) => line.includes('example.com'))
      .map((line) => line.slice(0, 32)),
  ).toEqual([old.id, newest.id]);

  for (const [name, source] of [
    ['latest', hostile],
    [old.id.slice(0, 8), first],
  ] as const) {
    const wanted = join(fixture.directory, `wanted-${name}`);
    const target = join(fixture.directory, `target-${name}`);
    await writeWanted(wanted, source);
    await bash(name, target);
    await run('diff', ['-r', join(wanted, 'media'), join(target, 'media')]);
    await run('diff', ['-r', join(wanted, 'database'), join(target, 'database')]);
    expect(await readFile(join(target, 'keys/etc/example.signing.key'), 'utf8')).toBe(source.signingKey);
    expect(await readFile(join(target, 'config/etc/homeserver.yaml'), 'utf8')).toBe(
      'server_name: example.com\n',
    );
    expect(JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8'))).toMatchObject({
      homeserver: { serverName: 'example.com' },
    });
    expect(await readdir(join(fixture.directory, 'private'))).toEqual([]);
    await run('find', [target, '-name', '.recover-*']).then(({ stdout }) => expect(stdout).toBe(''));
  }
});

it('restores old and new snapshots with an identity alone that was added later, and with none that was removed', async () => {
  await using fixture = await makeRepository();
  const sources = { old: sampleSource('old'), new: sampleSource('new') };
  const { entry: old } = await backUp(await fixture.open(), sources.old);
  const [added, last] = await Promise.all([generateIdentity(), generateIdentity()]);
  const repository = await fixture.open();
  await repository.addRecipients([added.recipient]);
  await repository.addRecipients([last.recipient]);
  const { entry: recent } = await backUp(await fixture.open(), sources.new);
  await repository.prune({ dryRun: false, graceMs: 0 });

  for (const { identity } of [added, last]) {
    const bash = await handTools(fixture, identity);
    for (const [{ id }, source] of [
      [old, sources.old],
      [recent, sources.new],
    ] as const) {
      const target = join(fixture.directory, `target-${identity === last.identity}-${id}`);
      await bash(id, target);
      expect((await readFile(join(target, 'database/all.dump'))).equals(source.dump)).toBe(true);
      expect(await readFile(join(target, 'keys/etc/example.signing.key'), 'utf8')).toBe(source.signingKey);
    }
  }

  await repository.removeRecipients([last.recipient]);
  const bash = await handTools(fixture, last.identity);
  await expect(bash('latest', join(fixture.directory, 'target-removed'))).rejects.toThrow(
    'the identity does not open the data key',
  );
});

it('takes media from a copy of their bucket by the keys that they have there', async () => {
  await using fixture = await makeRepository();
  const writer = await (await fixture.open()).startBackup();
  const { media, ...parts } = await writeSource(writer, { ...sampleSource('keys'), media: {} });
  const bucket = join(fixture.directory, 'bucket');
  const [one, two] = ['local_content/aa/bb/one', 'local_content/aa/bb/two'];
  const files = [
    { path: one, key: `${one}.0123456789abcdef`, text: 'one' },
    { path: two, key: undefined, text: 'two' },
  ];
  for (const { path, key, text } of files) {
    await mkdir(dirname(join(bucket, path)), { recursive: true });
    await writeFile(join(bucket, key ?? path), text);
    const object = { ...(key && { key }), versionId: 'v' };
    const content = { sizeBytes: text.length, sha256: sha256(text), blobs: [] };
    await writer.addMedia({ path, mediaClass: 'local_content', ...content, object });
  }
  await writeFile(join(bucket, one), 'what older snapshots name');
  const external = { place: 's3://bucket/backup', generation: 'media' };
  await writer.commit({ ...parts, media: { ...media, strategy: 's3-sync', external, files: 2, bytes: 6 } });
  const target = join(fixture.directory, 'target');
  const bash = await handTools(fixture, fixture.identity, { MEDIA: bucket });
  await bash('latest', target);
  for (const { path, text } of files) expect(await readFile(join(target, 'media', path), 'utf8')).toBe(text);
});

it('restores with a recovery kit and a repository whose script and data key are gone', async () => {
  await using fixture = await makeRepository();
  const source = sampleSource('only');
  await backUp(await fixture.open(), source);
  const zip = join(fixture.directory, 'kit.zip');
  const repository = await fixture.open();
  await makeKit({
    repository,
    identities: [fixture.identity],
    copies: [],
    output: zip,
    clock: systemClock,
  });
  await handTools(fixture);
  const kit = join(fixture.directory, 'kit');
  for (const [name, bytes] of unzip(await readFile(zip))) {
    await mkdir(dirname(join(kit, name)), { recursive: true });
    await writeFile(join(kit, name), bytes, { mode: 0o600 });
  }
  const { dataKeyObject } = await repository.keys();
  for (const name of ['recover.sh', dataKeyObject]) await fixture.store.delete(name);

  const restore = (env: Record<string, string>) =>
    run('bin/bash', ['kit/recover.sh', 'kit/identity.txt', 'latest', 'target'], {
      env: { PATH: join(fixture.directory, 'bin'), TMPDIR: fixture.directory, ...env },
      cwd: fixture.directory,
    });
  await expect(restore({})).rejects.toThrow('name it as REPOSITORY=DIRECTORY');
  await expect(restore({ REPOSITORY: fixture.root })).rejects.toThrow(`object ${dataKeyObject} is missing`);
  await copyFile(join(kit, dataKeyObject), join(fixture.root, dataKeyObject));
  await restore({ REPOSITORY: fixture.root });
  expect((await readFile(join(fixture.directory, 'target/database/all.dump'))).equals(source.dump)).toBe(
    true,
  );
});

it('does not list a forgotten snapshot, and stops at a damaged object or a wrong identity', async () => {
  await using fixture = await makeRepository();
  const repository = await fixture.open();
  const { entry: gone } = await backUp(repository, sampleSource('gone'));
  await backUp(repository, sampleSource('kept'));
  await repository.forget([gone.id], {});
  const bash = await handTools(fixture);

  expect((await bash('list')).stdout).not.toContain(gone.id);
  await expect(bash(gone.id, join(fixture.directory, 'target-gone'))).rejects.toThrow('there is no snapshot');

  await expect(bash('latest', fixture.directory)).rejects.toThrow('is not empty');

  const pack = await newestKey(fixture, 'packs/');
  const path = join(fixture.root, pack);
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
  await expect(bash('latest', join(fixture.directory, 'target-damaged'))).rejects.toThrow(
    `object ${pack} is damaged`,
  );

  await writeFile(
    join(fixture.directory, 'identity.txt'),
    `AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ\n`,
  );
  await expect(bash('latest', join(fixture.directory, 'target-wrong'))).rejects.toThrow('age');
  expect(await readdir(join(fixture.directory, 'private'))).toEqual([]);
});

/** `private` below the fixture's directory is where the script may keep the data key. */
async function handTools(
  fixture: Fixture,
  secret = fixture.identity,
  env: Readonly<Record<string, string>> = {},
): Promise<(...args: string[]) => Promise<{ stdout: string }>> {
  const bin = join(fixture.directory, 'bin');
  const privateDirectory = join(fixture.directory, 'private');
  await mkdir(privateDirectory, { recursive: true });
  if ((await mkdir(bin, { recursive: true })) !== undefined)
    for (const tool of TOOLS) await symlink((await run('which', [tool])).stdout.trim(), join(bin, tool));
  const identity = join(fixture.directory, 'identity.txt');
  await writeFile(identity, `# recovery\n${secret.reveal()}\n`, { mode: 0o600 });
  return (...args) =>
    run(join(bin, 'bash'), [join(fixture.root, 'recover.sh'), identity, ...args], {
      env: { PATH: bin, TMPDIR: privateDirectory, ...env },
      cwd: fixture.directory,
    });
}

async function writeWanted(directory: string, source: Source): Promise<void> {
  await mkdir(join(directory, 'database'), { recursive: true });
  await writeFile(join(directory, 'database/all.dump'), source.dump);
  for (const [path, body] of Object.entries(source.media)) {
    await mkdir(dirname(join(directory, 'media', path)), { recursive: true });
    await writeFile(join(directory, 'media', path), body);
  }
}

async function newestKey(fixture: Fixture, prefix: string): Promise<string> {
  const objects = await listAll(fixture.store, prefix);
  return objects.toSorted((a, b) => b.modified.getTime() - a.modified.getTime())[0]!.key;
}
