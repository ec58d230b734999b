import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backUpMedia } from '../../src/jobs/backup-media.ts';
import type { CatalogueRow } from '../../src/media/port.ts';
import type { Content, MediaComponent } from '../../src/repository/manifest.ts';
import type { BackupWriter } from '../../src/repository/port.ts';
import { sha256 } from '../media/store.ts';

const HASHED = 'local_content/aa/bb/hashed';
const THUMBNAIL = 'local_thumbnails/aa/bb/hashed/32-32-image-png-crop';
const DAY = 86_400_000;
const LONG_AGO = new Date('2026-01-01T00:00:00Z');

let directory: string;
let rows: CatalogueRow[];
/** SHA-256 of what is in the repository. */
let stored: Map<string, number>;
let read: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-backup-media-'));
  stored = new Map();
  rows = [];
  await add(HASHED, 'hello', true);
  await add(THUMBNAIL, 'tiny', false);
});
afterEach(() => rm(directory, { recursive: true }));

const at = (path: string): string => join(directory, 'media', path);

async function add(path: string, text: string, hashed: boolean): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), text);
  const mediaClass = path.split('/')[0] as CatalogueRow['mediaClass'];
  rows.push({ path, mediaClass, sizeBytes: text.length, sha256: hashed ? sha256(text) : null });
  rows.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A backup on a day of its own; the files were written two days before the first. */
async function run(
  day: number,
): Promise<{ media: MediaComponent; omissions: readonly string[]; paths: string[]; hashes: string[] }> {
  read = [];
  const [paths, hashes]: [string[], string[]] = [[], []];
  const contentOf = (bytes: Uint8Array): Content => {
    const digest = sha256(Buffer.from(bytes));
    read.push(Buffer.from(bytes).toString());
    stored.set(digest, bytes.length);
    return { sizeBytes: bytes.length, sha256: digest, blobs: [digest] };
  };
  const writer: Pick<BackupWriter, 'known' | 'addBytes' | 'addMedia'> = {
    known: (digest, sizeBytes) =>
      stored.get(digest) === sizeBytes ? { sizeBytes, sha256: digest, blobs: [digest] } : undefined,
    addBytes: async (bytes) => contentOf(bytes),
    addMedia: async (file) => {
      paths.push(file.path);
      hashes.push(file.sha256);
    },
  };
  const { component, omissions } = await backUpMedia({
    catalogue: {
      rows: async function* () {
        yield* rows;
      },
    },
    directory: join(directory, 'media'),
    classes: ['local_content', 'local_thumbnails'],
    writer: writer as BackupWriter,
    seenFile: join(directory, 'state/media/repository.seen'),
    compareEveryMs: 7 * DAY,
    now: new Date(Date.now() + (2 + day) * DAY),
    progress: () => undefined,
  });
  return { media: component, omissions, paths, hashes };
}

describe('a backup of media with nothing new', () => {
  it('reads every file once, and none at the second time', async () => {
    expect((await run(0)).paths).toEqual([HASHED, THUMBNAIL]);
    expect(read).toEqual(['hello', 'tiny']);
    expect((await run(1)).paths).toEqual([HASHED, THUMBNAIL]);
    expect(read).toEqual([]);
  });

  it('does not look at a file whose hash the database has, until all are compared', async () => {
    const first = await run(0);
    rmSync(at(HASHED));
    const second = await run(6);
    expect(second).toMatchObject({ omissions: [], paths: [HASHED, THUMBNAIL] });
    expect(second.media.comparedAt).toBe(first.media.comparedAt);
    const gone = { omissions: [expect.stringContaining('1 media files are gone')] };
    expect(await run(7)).toMatchObject(gone);
    // It does not come back by not being looked at.
    expect(await run(8)).toMatchObject(gone);
    writeFileSync(at(HASHED), 'hello');
    expect(await run(9)).toMatchObject({ omissions: [], paths: [HASHED, THUMBNAIL] });
    expect(read).toEqual([]);
  });

  it('reads a file without hash again when it was written to, also within its size and its time', async () => {
    utimesSync(at(THUMBNAIL), LONG_AGO, LONG_AGO);
    await run(0);
    writeFileSync(at(THUMBNAIL), 'tony');
    utimesSync(at(THUMBNAIL), LONG_AGO, LONG_AGO);
    await run(1);
    expect(read).toEqual(['tony']);
  });

  it('reads a file again that was written just before it was read', async () => {
    await run(-2);
    await run(-2);
    expect(read).toEqual(['tiny']);
  });

  it('reads a file again whose content the repository has lost', async () => {
    await run(0);
    stored.clear();
    await run(1);
    expect(read).toEqual(['hello', 'tiny']);
  });

  it.each([HASHED, THUMBNAIL])(
    'keeps %s in the snapshot when the file is gone, and says so until it is back',
    async (path) => {
      await run(0);
      rmSync(at(path));
      const text = path === HASHED ? 'hello' : 'tiny';
      for (const day of [7, 8, 14]) {
        const { paths, omissions, media } = await run(day);
        expect(paths).toContain(path);
        expect(omissions).toEqual([expect.stringContaining('1 media files are gone')]);
        expect(media.missing).toEqual([]);
      }
      await writeFile(at(path), text);
      utimesSync(at(path), LONG_AGO, LONG_AGO);
      expect((await run(15)).omissions).toEqual([]);
      rmSync(at(path));
      stored.clear();
      const { paths, media } = await run(22);
      expect(paths).not.toContain(path);
      expect(media.missing).toEqual([path]);
    },
  );

  it('keeps the content that the database names when the file was damaged since, and says so until it is right', async () => {
    await run(0);
    await writeFile(at(HASHED), 'hel');
    for (const day of [7, 8]) {
      const { omissions, hashes } = await run(day);
      expect(omissions).toEqual([expect.stringContaining(`1 media files differ from the SHA-256`)]);
      expect(hashes).toEqual([sha256('hello'), sha256('tiny')]);
    }
    await writeFile(at(HASHED), 'hello');
    expect((await run(9)).omissions).toEqual([]);
  });

  it('keeps the list of files without row until they are looked for again', async () => {
    await mkdir(at('local_content/zz'));
    writeFileSync(at('local_content/zz/left'), 'x');
    expect((await run(0)).media).toMatchObject({ orphans: ['local_content/zz/left'], orphanCount: 1 });
    rmSync(at('local_content/zz/left'));
    expect((await run(1)).media).toMatchObject({ orphanCount: 1 });
    expect((await run(7)).media).toMatchObject({ orphanCount: 0 });
  });

  it('compares all again when the clock was set back', async () => {
    const { media } = await run(30);
    expect((await run(1)).media.comparedAt < media.comparedAt).toBe(true);
  });

  it.each([
    ['is damaged', (file: string) => writeFileSync(file, 'not this')],
    ['is cut', (file: string) => writeFileSync(file, '')],
    ['is gone', (file: string) => rmSync(file)],
  ])('looks at everything when what it remembers %s', async (_what, harm) => {
    await run(0);
    harm(join(directory, 'state/media/repository.seen'));
    expect((await run(1)).paths).toEqual([HASHED, THUMBNAIL]);
    expect(read).toEqual(['tiny']);
  });

  it('remembers for its own user alone, and leaves no temporary file when it fails', async () => {
    await run(0);
    const file = join(directory, 'state/media/repository.seen');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    rows.push({ path: '../outside', mediaClass: 'local_content', sizeBytes: 1, sha256: null });
    await expect(run(1)).rejects.toMatchObject({ code: 'archive-unsafe' });
    expect(readdirSync(join(directory, 'state/media'))).toEqual(['repository.seen']);
    rows.pop();
    expect((await run(2)).paths).toEqual([HASHED, THUMBNAIL]);
    expect(read).toEqual([]);
  });
});
