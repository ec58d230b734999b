import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { syncToBucket } from '../../src/jobs/media/s3-sync.ts';
import type { MediaOutcome } from '../../src/jobs/media/strategy.ts';
import { openMediaDirectory } from '../../src/media/directory.ts';
import type { CatalogueRow } from '../../src/media/port.ts';
import { createBucketSync } from '../../src/media/s3-sync.ts';
import { createSyncSource } from '../../src/media/sync-source.ts';
import type { MediaFile } from '../../src/repository/manifest.ts';
import type { BackupWriter } from '../../src/repository/port.ts';
import type { Bucket } from '../../src/storage/bucket.ts';
import { openBucket } from '../../src/storage/open.ts';
import { sha256, store } from '../media/store.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';

/** The ends of s3-sync without a Synapse: a directory or a bucket with rows of our own, and a bucket of a real server. */
const PATH = 'local_content/aa/bb/one';
const THUMBNAIL = 'local_thumbnails/aa/bb/one/32-32-image-png-crop';

let server: S3Server;
let directory: string;
let target: string;
let rows: CatalogueRow[];

beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  [directory, target, rows] = [await store(), await server.bucket(), []];
});

function add(path: string, content: string, hash: string | null): void {
  mkdirSync(dirname(join(directory, 'media', path)), { recursive: true });
  writeFileSync(join(directory, 'media', path), content);
  const mediaClass = path.split('/')[0] as CatalogueRow['mediaClass'];
  rows.push({ path, mediaClass, sizeBytes: content.length, sha256: hash });
}

const access = () => ({ accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey });
const open = (bucket: string) => openBucket({ endpoint: server.endpoint, bucket, ...access() });
const keys = async (): Promise<string[]> => {
  const { Contents = [] } = await server.admin.send(new ListObjectsV2Command({ Bucket: target }));
  return Contents.map(({ Key }) => Key!);
};

/** `onRow` may interrupt it; files are settled, as it runs an hour later. */
async function backUp(onRow: () => void = () => undefined): Promise<MediaOutcome & { files: MediaFile[] }> {
  const files: MediaFile[] = [];
  const writer: Pick<BackupWriter, 'addMedia'> = {
    addMedia: async (file) => {
      onRow();
      files.push(file);
    },
  };
  const outcome = await syncToBucket(
    {
      catalogue: {
        rows: async function* () {
          yield* rows;
        },
      },
      classes: ['local_content', 'local_thumbnails'],
      writer: writer as BackupWriter,
      repositoryId: 'repository',
      seenFile: join(directory, 'state/repository.seen'),
      compareEveryMs: 86_400_000,
      now: new Date(Date.now() + 3_600_000),
      progress: () => undefined,
    },
    {
      settings: {
        ...{ region: undefined, pathStyle: undefined, caFile: undefined },
        ...{ place: `s3:${server.endpoint}/${target}/backup`, ...access() },
      },
      directory: join(directory, 'media'),
      bucket: undefined,
    },
  );
  return { ...outcome, files };
}

describe('media copied into a bucket', () => {
  it('by a server that tells no SHA-256 are read again, not believed to be what the database says', async () => {
    const source = await server.bucket();
    await server.admin.send(new PutObjectCommand({ Bucket: source, Key: PATH, Body: 'damaged' }));
    const [from, to] = [await open(source), await open(target)];
    const silent: Bucket = {
      ...to,
      copy: async (...args) => without(await to.copy(...args)),
      head: async (key) => without(await to.head(key)),
    };
    mkdirSync(join(directory, 'media'));
    const sync = createBucketSync({
      source: createSyncSource(await openMediaDirectory(join(directory, 'media')), {
        bucket: from,
        prefix: '',
      }),
      target: silent,
      prefix: 'backup/',
      serverSideFrom: source,
    });
    const synced = await sync.sync({ path: PATH, sizeBytes: 7, sha256: sha256('correct') }, undefined);
    expect(synced!.copied.sha256).toBe(sha256('damaged'));
    [from, to].forEach((bucket) => bucket.close());
  });

  it('stay in each later snapshot when they are gone, also those without hash and under a second name', async () => {
    add(PATH, 'old', null);
    add(THUMBNAIL, 'tiny', null);
    await backUp();
    writeFileSync(join(directory, 'media', PATH), 'new content');
    rows[0] = { ...rows[0]!, sizeBytes: 11 };
    await backUp();
    for (const { path } of rows) rmSync(join(directory, 'media', path));
    for (const time of ['at once', 'one later', 'two later']) {
      const { files, component, omissions } = await backUp();
      expect(component, time).toMatchObject({ files: 2, missing: [] });
      expect(files.map((file) => file.sha256)).toEqual([sha256('new content'), sha256('tiny')]);
      expect(files[0]!.object!.key).toBe(`${PATH}.${sha256('new content').slice(0, 16)}`);
      expect(omissions).toEqual([expect.stringMatching(/^2 media files are gone/)]);
    }
  });

  it('that differ from the database are found again after first runs that were interrupted', async () => {
    add(PATH, 'what is there', sha256('what was there'));
    const stop = new Error('stop');
    for (const time of [1, 2, 3]) {
      const interrupted = backUp(() => {
        throw stop;
      });
      await expect(interrupted, `${time}`).rejects.toBe(stop);
    }
    const { files, omissions } = await backUp();
    expect(files.map((file) => file.sha256)).toEqual([sha256('what is there')]);
    expect(omissions).toEqual([expect.stringContaining('1 media files differ from the SHA-256')]);
    expect(await keys()).toEqual([`backup/media/${PATH}`]);
  });
});

function without<T>(answer: T): T {
  return typeof answer === 'object' && answer !== null ? { ...answer, sha256: undefined } : answer;
}
