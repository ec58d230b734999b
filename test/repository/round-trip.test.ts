import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import type { ByteRange } from '../../src/storage/port.ts';
import { backUp, bytesOf, makeRepository, readBack, sampleSource, writeSource } from './fixture.ts';
import { aroundPut } from './memory-store.ts';

describe('a backup', () => {
  it('reads back as the bytes that went in', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    expect(await readBack(await fixture.open(), entry.id)).toEqual(source);
  });

  it('stores nothing of an unchanged source again but lists, archives and the record', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    await backUp(await fixture.open(), source);
    const second = await backUp(await fixture.open(), source);
    expect(second.newBlobs).toBe(0);
    expect(second.newPacks).toBe(0);
    expect(second.reusedBlobs).toBeGreaterThan(3);
    expect(second.storedBytes).toBeLessThan(10_000);
  });

  it('shares the media shards of an unchanged media store with the snapshot before', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    await backUp(await fixture.open(), source);
    const shardsAfterFirst = await countObjects(fixture.store, 'manifests/');
    await backUp(await fixture.open(), { ...source, dump: randomBytes(1000) });
    expect(await countObjects(fixture.store, 'manifests/')).toBe(shardsAfterFirst + 1);
  });

  it('changes one shard of a long media list for one new file, and gives the list back in order', async () => {
    await using fixture = await makeRepository();
    const backUpPaths = async (paths: readonly string[]): Promise<string> => {
      const writer = await (await fixture.open()).startBackup();
      const parts = await writeSource(writer, { dump: Buffer.from('PGDMP'), media: {}, signingKey: 'key' });
      const content = await writer.addFile(Readable.from([Buffer.from('same')]), 4);
      for (const path of paths) await writer.addMedia({ path, mediaClass: 'local_content', ...content });
      return (await writer.commit(parts)).entry.id;
    };
    const paths = Array.from({ length: 20_000 }, (_, at) => `local_content/${String(at).padStart(6, '0')}`);
    await backUpPaths(paths);
    const objects = await countObjects(fixture.store, 'manifests/');
    const longer = paths.toSpliced(10_000, 0, 'local_content/009999-new');
    const id = await backUpPaths(longer);
    // The shard that the path falls into (two if it happens to end one), and the root.
    expect((await countObjects(fixture.store, 'manifests/')) - objects).toBeLessThanOrEqual(3);
    const read: string[] = [];
    for await (const { path } of (await fixture.open()).mediaFiles(id)) read.push(path);
    expect(read).toEqual(longer);
  });

  it('finds small and large files by their hash alone, but not with another size', async () => {
    await using fixture = await makeRepository();
    const large = randomBytes(9 * 1024 * 1024);
    const writer = await (await fixture.open()).startBackup();
    const small = await writer.addFile(Readable.from([Buffer.from('small')]), 5);
    const stored = await writer.addFile(Readable.from([large]), large.length);
    expect(stored.blobs).toHaveLength(3);
    await writer.abort();

    const next = await (await fixture.open()).startBackup();
    expect(next.known(stored.sha256, large.length)).toEqual(stored);
    expect(next.known(small.sha256, 5)).toEqual(small);
    expect(next.known(small.sha256, 6)).toBeUndefined();
    expect(next.known(stored.sha256, large.length - 1)).toBeUndefined();
    expect(next.known('0'.repeat(64), 5)).toBeUndefined();
  });

  it('reads a file back that was cut into pieces', async () => {
    await using fixture = await makeRepository();
    const large = randomBytes(12 * 1024 * 1024);
    const repository = await fixture.open();
    const writer = await repository.startBackup();
    const stored = await writer.addFile(Readable.from(slices(large, 65_536)), large.length);
    await writer.abort();
    expect(stored.blobs).toHaveLength(3);
    expect((await bytesOf(repository.read(stored))).equals(large)).toBe(true);
  });

  it('rejects when the source fails, and shows nothing to anybody', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const writer = await repository.startBackup();
    const failing = Readable.from(
      (async function* () {
        yield Buffer.from('PGDMP');
        throw new Error('pg_dump died');
      })(),
    );
    await expect(writer.addStream(failing)).rejects.toThrow('pg_dump died');
    await writer.abort();
    expect(await repository.snapshots()).toEqual([]);
  });

  it('is read pack by pack when the order of paths would open a pack for each file', async () => {
    await using fixture = await makeRepository();
    const at = (night: number, file: number) => `local_content/${file}/${night}`;
    const media: Record<string, Uint8Array> = {};
    let id = '';
    // Each night adds files between those of the nights before, and its packs.
    for (const night of [0, 1, 2, 3, 4, 5]) {
      for (const file of [0, 1, 2, 3, 4, 5]) media[at(night, file)] = randomBytes(3000);
      const source = { dump: Buffer.from('PGDMP'), media, signingKey: 'key' };
      id = (await backUp(await fixture.open(), source)).entry.id;
    }
    const fetched: { key: string; bytes: number }[] = [];
    const store = {
      ...fixture.store,
      get: async (key: string, range?: ByteRange) => {
        fetched.push({ key, bytes: range?.length ?? Number.NaN });
        return fixture.store.get(key, range);
      },
    };
    const repository = await fixture.open({}, store);
    const read: Record<string, Uint8Array> = {};
    for await (const file of repository.mediaFilesByPack(id))
      read[file.path] = await bytesOf(repository.read(file));
    expect(read).toEqual(media);
    // Of each pack its header, and its only page.
    const packs = fetched.filter(({ key }) => key.startsWith('packs/')).map(({ key }) => key);
    expect(packs).toHaveLength(12);
    expect(new Set(packs).size).toBe(6);
  });

  it('that lost one pack never commits, even if the store works again and the same content comes again', async () => {
    await using fixture = await makeRepository();
    let failed = false;
    const flaky = aroundPut(fixture.store, (key, put) => {
      if (failed || !key.startsWith('packs/')) return put();
      failed = true;
      throw new LifeboatError('store-unreachable', 'connection reset');
    });
    const writer = await (await fixture.open({}, flaky)).startBackup();
    const source = sampleSource();
    const lost = { code: 'store-unreachable' };
    // A pack is put beside the work: the failure comes with this call or with a later one.
    await writer.addStream(Readable.from([source.dump])).catch((error: unknown) => {
      expect(error).toMatchObject(lost);
    });
    await expect(writeSource(writer, source).then((parts) => writer.commit(parts))).rejects.toMatchObject(
      lost,
    );
    await writer.abort();
    expect(await (await fixture.open()).snapshots()).toEqual([]);
    const { entry } = await backUp(await fixture.open(), source);
    expect(await readBack(await fixture.open(), entry.id)).toEqual(source);
  });

  it('takes several streams at once', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const writer = await repository.startBackup();
    const lanes = Array.from({ length: 4 }, () => randomBytes(200_000));
    const contents = await Promise.all(
      lanes.map((lane) => writer.addStream(Readable.from(slices(lane, 4096)))),
    );
    const { entry } = await writer.commit(await writeSource(writer, sampleSource()));
    for (const [at, content] of contents.entries())
      expect((await bytesOf(repository.read(content))).equals(lanes[at]!)).toBe(true);
    expect((await repository.resolve('latest')).id).toBe(entry.id);
  });

  it('refuses media that it has not stored, and paths that leave the media store', async () => {
    await using fixture = await makeRepository();
    const writer = await (await fixture.open()).startBackup();
    const file = {
      path: 'a/b',
      sizeBytes: 1,
      sha256: 'a'.repeat(64),
      mediaClass: 'local_content',
    };
    await expect(writer.addMedia({ ...file, blobs: ['b'.repeat(64)] })).rejects.toThrow('has not stored');
    await expect(writer.addMedia({ ...file, path: '../b', blobs: [] })).rejects.toThrow('relative path');
  });
});

async function countObjects(
  store: { list(prefix: string): AsyncIterable<unknown> },
  prefix: string,
): Promise<number> {
  let count = 0;
  for await (const _ of store.list(prefix)) count += 1;
  return count;
}

function slices(bytes: Buffer, length: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
    bytes.subarray(at * length, (at + 1) * length),
  );
}
