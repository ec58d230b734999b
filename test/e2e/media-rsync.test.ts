import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RsyncSettings } from '../../src/config/index.ts';
import { openExternalMedia } from '../../src/media/external.ts';
import { openTree } from '../../src/media/rsync/tree.ts';
import { rsyncGenerations } from '../../src/media/rsync/generations.ts';
import { damage, DAY, REPOSITORY, rsyncRun, type BackedUp, type RsyncRun } from '../media/rsync/run.ts';
import { sha256 } from '../media/store.ts';
import { ORDINARY_USER, startSshd, type Sshd } from '../storage/sftp/sshd.ts';

const ONE = 'local_content/aa/bb/one';
const ODD = 'local_content/aa/bb/-odd\n$(x) "y" \'z';
const THUMBNAIL = 'local_thumbnails/aa/bb/one/32-32-image-png-crop';

let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd[Symbol.asyncDispose]());

const remote = (path: string): string => `sftp://${userInfo().username}@127.0.0.1:${sshd.port}/${path}`;
function sshSettings(): RsyncSettings['ssh'] {
  const { identityFile, knownHostsFile, sshOptions = [] } = sshd.options('');
  return { identityFile, knownHostsFile, options: [...sshOptions] };
}

/** How media go: within one machine, pushed to a backup host, pulled from the homeserver. */
const WAYS = ['to a directory', 'pushed over SSH', 'pulled over SSH'] as const;

function world(way: (typeof WAYS)[number]): RsyncRun {
  const run = rsyncRun();
  const ends = {
    'to a directory': {},
    'pushed over SSH': { place: remote(run.place), ssh: sshSettings() },
    'pulled over SSH': { source: remote(run.source), ssh: sshSettings() },
  }[way];
  return {
    ...run,
    backUp: (change = {}) => run.backUp({ ...change, settings: { ...ends, ...change.settings } }),
  };
}

async function read({ component }: BackedUp, file: { path: string; sizeBytes: number }): Promise<string> {
  const media = await openExternalMedia(component, { sftp: sshSettings() });
  return (await buffer(media!.read(file))).toString();
}

describe.each(WAYS)('media %s', (way) => {
  it('become a generation with the SHA-256 of what lies there, which the next ones link to, and goes with its snapshot', async () => {
    const run = world(way);
    run.add(ONE, 'one');
    run.add(ODD, 'odd');
    run.add(THUMBNAIL, 'tiny', { hashed: false });
    run.add('local_content/aa/cc/empty', '');
    const first = await run.backUp();
    expect(first.omissions).toEqual([]);
    expect(first.files.map(({ path, sha256: hash, blobs }) => [path, hash, blobs])).toEqual(
      run.rows.map(({ path }) => [path, sha256(readFileSync(join(run.source, path))), []]),
    );
    expect(first.component).toMatchObject({ strategy: 'rsync', files: 4, bytes: 10 });
    for (const file of first.files)
      expect(await read(first, file)).toBe(readFileSync(join(run.source, file.path), 'utf8'));
    expect(readdirSync(run.at(first, '')).toSorted()).toEqual(['local_content', 'local_thumbnails']);
    expect(statSync(run.at(first, ONE)).mode & 0o777).toBe(0o600);
    expect(statSync(run.at(first, 'local_content/aa')).mode & 0o777).toBe(0o700);
    run.add('local_content/aa/bb/two', 'two');
    const second = await run.backUp();
    for (const path of [ONE, ODD, THUMBNAIL]) expect(run.inode(second, path)).toBe(run.inode(first, path));
    expect(second.component).toMatchObject({ files: 5, bytes: 13 });
    rmSync(join(run.source, 'local_content/aa/bb/two'));
    const third = await run.backUp();
    expect(third.component).toMatchObject({ files: 5, missing: [] });
    expect(third.omissions).toEqual([
      '1 media files are gone, and the snapshot has what was stored of them before: local_content/aa/bb/two',
    ]);
    expect(run.inode(third, 'local_content/aa/bb/two')).toBe(run.inode(second, 'local_content/aa/bb/two'));
    expect(third.files.find(({ path }) => path.endsWith('/two'))!.sha256).toBe(sha256('two'));
    const folder = join(run.place, REPOSITORY);
    mkdirSync(join(folder, 'somebody elses'));
    mkdirSync(join(folder, '.deleting.x'));
    const place = way === 'pushed over SSH' ? remote(run.place) : run.place;
    const generations = rsyncGenerations(openTree(place, sshSettings()), REPOSITORY);
    const retire = (live: string[], days: number, dryRun = false): Promise<readonly string[]> =>
      generations.retire({
        live: async () => new Set(live),
        graceMs: DAY,
        now: new Date(Date.now() + days * DAY),
        dryRun,
      });
    expect(await retire([third.snapshotId, second.snapshotId], 0)).toEqual([]);
    expect(await retire([], 2)).toEqual([]);
    const [old, ...young] = [first, second, third].map(({ component }) =>
      'external' in component ? component.external.generation.split('/').at(-1)! : '',
    );
    expect(await retire([third.snapshotId, second.snapshotId], 2, true)).toEqual([old]);
    expect(run.generations()).toEqual([old, ...young, 'somebody elses'].toSorted());
    expect(await retire([third.snapshotId, second.snapshotId], 2)).toEqual([old]);
    expect(readdirSync(folder).toSorted()).toEqual([...young, 'somebody elses'].toSorted());
    expect(readFileSync(run.at(second, ONE), 'utf8')).toBe('one');
  });
});

describe('media by rsync', () => {
  it('that are unchanged are links to the generation before, and are not read again', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add(THUMBNAIL, 'tiny', { hashed: false });
    const first = await run.backUp();
    run.add('local_content/aa/bb/two', 'two');
    // Only what is read again is noticed.
    damage(run.at(first, THUMBNAIL));
    const second = await run.backUp();
    expect(run.generations()).toHaveLength(2);
    for (const path of [ONE, THUMBNAIL]) expect(run.inode(second, path)).toBe(run.inode(first, path));
    expect(second.files.map(({ sha256: hash }) => hash)).toEqual(
      ['one', 'two', 'tiny'].map((text) => sha256(text)),
    );
  });

  it('are not begun anew where the disk that has the generations is not mounted', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    await run.backUp();
    renameSync(run.place, `${run.place}-elsewhere`);
    await expect(run.backUp()).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
    renameSync(`${run.place}-elsewhere`, run.place);
    expect((await run.backUp()).component).toMatchObject({ files: 1, missing: [] });
  });

  it('that were damaged at the place are copied anew when all are compared, and told nobody as good before', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add(THUMBNAIL, 'tiny', { hashed: false });
    const first = await run.backUp();
    for (const path of [ONE, THUMBNAIL]) damage(run.at(first, path));
    const second = await run.backUp({ compareEveryMs: 0 });
    expect(second.omissions).toEqual([]);
    expect(second.files.map(({ sha256: hash }) => hash)).toEqual(['one', 'tiny'].map((text) => sha256(text)));
    expect(readFileSync(run.at(second, ONE), 'utf8')).toBe('one');
    expect(readFileSync(run.at(second, THUMBNAIL), 'utf8')).toBe('tiny');
  });

  it('are compared with the database: rows without file, files without row, files that are another', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add('local_content/aa/bb/lost', 'lost');
    run.add('local_content/aa/bb/other', 'other');
    run.add('local_content/aa/bb/row', 'row');
    rmSync(join(run.source, 'local_content/aa/bb/lost'));
    writeFileSync(join(run.source, 'local_content/aa/bb/other'), 'OTHER');
    run.rows.splice(
      run.rows.findIndex(({ path }) => path.endsWith('/row')),
      1,
    );
    for (const again of [1, 2]) {
      const { component, omissions, warnings } = await run.backUp();
      expect(component, `${again}`).toMatchObject({
        missing: ['local_content/aa/bb/lost'],
        missingCount: 1,
        orphans: ['local_content/aa/bb/row'],
        orphanCount: 1,
      });
      expect(omissions).toEqual([
        '1 media rows have no file: local_content/aa/bb/lost',
        '1 media files differ from the SHA-256 in the database: local_content/aa/bb/other',
      ]);
      expect(warnings).toEqual(['1 media files have no row in the database: local_content/aa/bb/row']);
    }
  });

  it('go on where an interrupted run stopped', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    const stop = new Error('stop');
    const broken = run.backUp({
      onRow: () => {
        throw stop;
      },
    });
    await expect(broken).rejects.toBe(stop);
    expect(run.generations()).toEqual([]);
    const partial = readdirSync(join(run.place, REPOSITORY)).find((name) => name.startsWith('.partial.'))!;
    const { ino } = statSync(join(run.place, REPOSITORY, partial, ONE));
    const whole = await run.backUp();
    expect(whole.messages).toContain('going on with what an interrupted run has transferred');
    expect(run.inode(whole, ONE)).toBe(ino);
    expect(readdirSync(join(run.place, REPOSITORY))).toEqual(run.generations());
  });

  it('that vanish while they are about to be copied are told, by the exit status that only says so', async () => {
    const run = rsyncRun();
    run.add(ONE, Buffer.alloc(2 * 1024 * 1024, 'x'));
    run.add('local_content/aa/bb/two', 'two');
    const backup = run.backUp({ settings: { bandwidthLimit: 1024 * 1024 } });
    await expect.poll(() => unfinished(run), { interval: 5, timeout: 10_000 }).toBeGreaterThan(0);
    rmSync(join(run.source, 'local_content/aa/bb/two'));
    const { component, omissions } = await backup;
    expect(component).toMatchObject({ files: 1, missing: ['local_content/aa/bb/two'] });
    expect(omissions).toEqual([
      '1 media rows have no file: local_content/aa/bb/two',
      '1 media files vanished while rsync was about to copy them (its exit status 24): local_content/aa/bb/two',
    ]);
  });

  it('that the source has lost are kept also by a machine that has forgotten what it saw', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add(THUMBNAIL, 'tiny', { hashed: false });
    run.add('local_content/aa/bb/two', 'two');
    const first = await run.backUp();
    for (const path of [ONE, THUMBNAIL]) rmSync(join(run.source, path));
    rmSync(run.state, { recursive: true });
    for (const time of [1, 2]) {
      const { component, files } = await run.backUp();
      expect(component, `${time}`).toMatchObject({ files: 3, missing: [] });
      expect(files).toEqual(first.files);
    }
  });

  it.each(WAYS)('%s are no snapshot when a prune takes them before it is recorded', async (way) => {
    const run = world(way);
    run.add(ONE, 'one');
    const backedUp = await run.backUp();
    await backedUp.requireKept!();
    const generation = run.at(backedUp, '');
    renameSync(generation, join(generation, '..', '.deleting.x'));
    await expect(backedUp.requireKept!()).rejects.toMatchObject({ code: 'locked' });
  });

  it('end with the run also where another machine is being asked', async () => {
    const run = world('pushed over SSH');
    run.add(ONE, 'one');
    const controller = new AbortController();
    const { signal } = controller;
    const interrupted = run.backUp({ signal, onRow: () => controller.abort() });
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
    expect(run.generations()).toEqual([]);
  });

  it('of another machine that may not be looked at are an error, and not files that are not there', async () => {
    await using ordinary = await startSshd(ORDINARY_USER);
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add('local_content/zz/two', 'two');
    chmodSync(join(run.source, '..'), 0o755);
    const { identityFile, knownHostsFile, sshOptions = [] } = ordinary.options('');
    const place = `sftp://${ORDINARY_USER}@127.0.0.1:${ordinary.port}/${run.source}`;
    const tree = openTree(place, { identityFile, knownHostsFile, options: [...sshOptions] });
    const paths = ['local_content/zz/two', ONE, 'local_content/-no\nwhere', `${ONE}/x`, 'x'.repeat(300)];
    expect([...(await tree.look('', paths)).keys()].toSorted()).toEqual([ONE, 'local_content/zz/two']);
    expect((await tree.sha256('', paths)).size).toBe(2);
    chmodSync(join(run.source, 'local_content/zz'), 0o000);
    const denied = { code: 'store-denied', message: expect.stringContaining('Permission denied') as string };
    await expect(tree.look('', paths)).rejects.toMatchObject(denied);
    await expect(tree.sha256('', paths)).rejects.toMatchObject(denied);
  });

  it('that may not be read fail the backup with what rsync said of each, and nothing is published', async () => {
    await using ordinary = await startSshd(ORDINARY_USER);
    const run = rsyncRun();
    run.add(ONE, 'one');
    run.add('local_content/aa/bb/two', 'two');
    chmodSync(join(run.source, '..'), 0o755);
    chmodSync(join(run.source, 'local_content/aa/bb/two'), 0o000);
    const { identityFile, knownHostsFile, sshOptions = [] } = ordinary.options('');
    const settings = {
      source: `sftp://${ORDINARY_USER}@127.0.0.1:${ordinary.port}/${run.source}`,
      ssh: { identityFile, knownHostsFile, options: [...sshOptions] },
    };
    await expect(run.backUp({ settings })).rejects.toMatchObject({
      code: 'command-failed',
      context: { exitCode: 23 },
      message: expect.stringMatching(
        /23: some files could not be transferred: .*aa\/bb\/two": Permission denied/,
      ) as string,
    });
    expect(run.generations()).toEqual([]);
  });

  it('are refused when no upload of the database has a file, as of a disk that is not mounted', async () => {
    const run = rsyncRun();
    run.rows.push({ path: ONE, mediaClass: 'local_content', sizeBytes: 3, sha256: null });
    await expect(run.backUp()).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
    const nowhere = run.backUp({ settings: { source: join(run.source, 'nowhere') } });
    await expect(nowhere).rejects.toThrow('does not exist');
  });

  it('say in plain words that ssh does not let us in', async () => {
    const run = rsyncRun();
    run.add(ONE, 'one');
    const knownHostsFile = join(run.source, 'none');
    const refused = run.backUp({
      settings: { place: remote(run.place), ssh: { ...sshSettings()!, knownHostsFile } },
    });
    await expect(refused).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('its host key is not known') as string,
    });
  });
});

it.each(['to a directory', 'pulled over SSH'] as const)(
  'media %s are not copied through a symbolic link that leads out of the media store',
  async (way) => {
    const run = world(way);
    run.add(ONE, 'one');
    mkdirSync(join(run.place, '..', 'private'));
    writeFileSync(join(run.place, '..', 'private', 'key'), 'secret');
    symlinkSync(join(run.place, '..', 'private'), join(run.source, 'local_content/zz'));
    run.rows.push({ path: 'local_content/zz/key', mediaClass: 'local_content', sizeBytes: 6, sha256: null });
    await expect(run.backUp()).rejects.toMatchObject({
      code: 'media-unreadable',
      message: expect.stringContaining('local_content/zz is reached through a symbolic link') as string,
    });
    expect(run.generations()).toEqual([]);
  },
);

/** Bytes of files that are being transferred. */
function unfinished({ place }: RsyncRun): number {
  const [partial] = readdirSync(join(place, REPOSITORY)).filter((name) => name.startsWith('.partial.'));
  const folder = join(place, REPOSITORY, partial ?? '', '.lifeboat-unfinished');
  const names = partial === undefined ? [] : readdirSync(folder);
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
