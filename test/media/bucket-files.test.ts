import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createBucketCursor } from '../../src/media/bucket-cursor.ts';
import { createBucketFiles } from '../../src/media/bucket-files.ts';
import { openUnionSource } from '../../src/media/union.ts';
import type { BucketObject, BucketReader } from '../../src/storage/bucket.ts';
import { all, catalogueOf, sha256, store } from './store.ts';

const PAGE = 3;

/** A bucket in memory with pages of three, that counts its requests. The real one: test/e2e/media-in-s3.test.ts. */
function bucketOf(contents: Record<string, string>) {
  const objects = new Map(Object.entries(contents).map(([key, text]) => [key, Buffer.from(text)]));
  const requests = { page: 0, head: 0, get: 0 };
  const describeObject = (key: string): BucketObject | undefined => {
    const bytes = objects.get(key);
    const etag = `"${createHash('md5')
      .update(bytes ?? '')
      .digest('hex')}"`;
    return bytes && { key, sizeBytes: bytes.length, etag, modified: new Date(0) };
  };
  const bucket: BucketReader = {
    location: 's3:test/bucket',
    page: async (prefix, after) => {
      requests.page += 1;
      const keys = [...objects.keys()].toSorted().filter((key) => key.startsWith(prefix) && key > after);
      return { objects: keys.slice(0, PAGE).map((key) => describeObject(key)!), more: keys.length > PAGE };
    },
    list: async function* (prefix) {
      for (const key of [...objects.keys()].toSorted())
        if (key.startsWith(prefix)) yield describeObject(key)!;
    },
    head: async (key) => {
      requests.head += 1;
      return describeObject(key);
    },
    get: async (key, { range, etag } = {}) => {
      requests.get += 1;
      if (etag !== undefined && objects.has(key) && describeObject(key)!.etag !== etag) return 'changed';
      const bytes = objects.get(key);
      return range === undefined ? bytes : bytes?.subarray(range.offset, range.offset + range.length);
    },
    close: () => undefined,
  };
  return { bucket, requests, objects };
}

describe('a look-up in a bucket', () => {
  it('of all keys in their order takes one request a page', async () => {
    const keys = Array.from({ length: 9 }, (_, number) => `p/a${number}`);
    const { bucket, requests } = bucketOf(Object.fromEntries(keys.map((key) => [key, key])));
    const cursor = createBucketCursor(bucket, 'p/');
    for (const key of keys) expect((await cursor.find(key))?.key).toBe(key);
    expect(requests.page).toBeLessThanOrEqual(4);
  });

  it('finds each key and no other, in any order, at once', async () => {
    const { bucket } = bucketOf({
      'p/a': '',
      'p/ab': '',
      'p/b': '',
      'p/b/c': '',
      'p/bz': '',
      'p/c': '',
      'q/x': '',
    });
    const cursor = createBucketCursor(bucket, 'p/');
    const asked = ['p/c', 'p/a', 'p/b/c', 'p/aa', 'p/bz', 'p/0', 'p/ab', 'p/zz', 'q/x', 'p/b'];
    const found = await Promise.all(asked.map((key) => cursor.find(key)));
    expect(found.map((object) => object?.key)).toEqual([
      ...['p/c', 'p/a', 'p/b/c', undefined, 'p/bz', undefined, 'p/ab', undefined, undefined, 'p/b'],
    ]);
  });

  it('goes on after a request that failed', async () => {
    const { bucket } = bucketOf({ 'p/a': '' });
    let failing = true;
    const cursor = createBucketCursor(
      {
        ...bucket,
        page: (...given) => (failing ? Promise.reject(new Error('gone')) : bucket.page(...given)),
      },
      'p/',
    );
    await expect(cursor.find('p/a')).rejects.toThrow('gone');
    failing = false;
    expect(await cursor.find('p/a')).toBeDefined();
  });
});

describe('files of a media store in a bucket', () => {
  it('are read again when they were replaced since they were listed, and that is told', async () => {
    const { bucket, objects } = bucketOf({ 'p/local_content/a': 'old' });
    const files = createBucketFiles(bucket, 'p/');
    expect(await files.look('local_content/a')).toMatchObject({ sizeBytes: 3 });
    objects.set('p/local_content/a', Buffer.from('newer'));
    const read = await files.readStable('local_content/a', (source) => buffer(source));
    expect(read).toMatchObject({ changed: true, value: Buffer.from('newer'), sizeBytes: 5 });
  });

  it('are found when they came after the page was listed, and missing when they went', async () => {
    const { bucket, objects } = bucketOf({ 'p/local_content/a': 'x' });
    const files = createBucketFiles(bucket, 'p/');
    await files.look('local_content/a');
    objects.set('p/local_content/b', Buffer.from('late'));
    objects.delete('p/local_content/a');
    expect(await files.readSmall('local_content/b', 100)).toMatchObject({ value: Buffer.from('late') });
    expect(await files.readSmall('local_content/a', 100)).toBeUndefined();
  });

  it('are not reached by a path that leads elsewhere', async () => {
    const files = createBucketFiles(bucketOf({}).bucket, 'p/');
    await expect(files.look('../secret')).rejects.toMatchObject({ code: 'archive-unsafe' });
  });
});

describe('a directory together with a bucket', () => {
  it('reads from the directory first, and asks the bucket for nothing that is there', async () => {
    const root = await store({ 'local_content/a': 'disk' });
    const { bucket, requests } = bucketOf({ 'local_content/a': 'bucket', 'local_content/b': 'far' });
    const source = await openUnionSource(root, bucket, '');
    expect(await source.sha256('local_content/a')).toBe(sha256('disk'));
    expect(requests).toEqual({ page: 0, head: 0, get: 0 });
    expect(await source.sha256('local_content/b')).toBe(sha256('far'));
    expect(await source.readSmall('local_content/b', new Uint8Array(2))).toBe('too large');
    expect(await source.sha256('local_content/c')).toBeUndefined();
  });

  it('names once what no row names, wherever it lies, in path order', async () => {
    const root = await store({ 'local_content/a': '', 'local_content/c': '', 'local_content/row': '' });
    const keys = ['local_content/b', 'local_content/c', 'local_content/d', 'remote_content/e'];
    const { bucket } = bucketOf(Object.fromEntries(keys.map((key) => [key, ''])));
    const source = await openUnionSource(root, bucket, '');
    const orphans = await all(source.orphans(catalogueOf(['local_content/row']), ['local_content']));
    expect(orphans).toEqual(['local_content/a', 'local_content/b', 'local_content/c', 'local_content/d']);
  });
});
