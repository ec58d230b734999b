import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createBlobTable } from '../../src/repository/blob-table.ts';
import { createPackWriter, type PackWriter } from '../../src/repository/pack-writer.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

const PACK_BYTES = 64 * 1024;
let recipient = '';

beforeAll(async () => {
  recipient = (await generateIdentity()).recipient;
});

/** A writer whose uploads of packs wait for `release`, which ends the oldest. */
function writerWithSlowStore(time = { ms: 0 }): {
  writer: PackWriter;
  store: MemoryStore;
  uploading(): number;
  release(error?: Error): void;
} {
  const store = createMemoryStore();
  const waiting: ((error?: Error) => void)[] = [];
  const writer = createPackWriter({
    store: {
      ...store,
      put: async (key, body) => {
        if (key.startsWith('packs/'))
          await new Promise<void>((resolve, reject) =>
            waiting.push((error) => (error === undefined ? resolve() : reject(error))),
          );
        return store.put(key, body);
      },
    },
    known: { table: createBlobTable(), packs: [], files: new Map(), shards: new Map() },
    idKey: Buffer.alloc(32, 1),
    recipients: [recipient],
    indexRecipients: [recipient],
    packTargetBytes: PACK_BYTES,
    clock: { monotonicMs: () => time.ms },
  });
  return { writer, store, uploading: () => waiting.length, release: (error) => waiting.shift()!(error) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

describe('the writer of packs', () => {
  it('writes the index of what it has stored once a minute, so that a killed run need not store it again', async () => {
    const time = { ms: 0 };
    const { writer, store, uploading, release } = writerWithSlowStore(time);
    const segments = async () => (await Array.fromAsync(store.list('index/'))).length;
    for (const [ms, expected] of [
      [1000, 0],
      [61_000, 1],
      [62_000, 1],
      [130_000, 2],
    ] as const) {
      await writer.store(randomBytes(PACK_BYTES));
      await until(() => uploading() === 1);
      time.ms = ms;
      release();
      await writer.flush();
      expect(await segments()).toBe(expected);
    }
  });

  it('fills the next pack while two are uploaded, and waits before it gives away a third', async () => {
    const { writer, store, uploading, release } = writerWithSlowStore();
    for (const begun of [1, 2]) {
      await writer.store(randomBytes(PACK_BYTES));
      await until(() => uploading() === begun);
    }
    await writer.store(randomBytes(PACK_BYTES / 2));
    const third = writer.store(randomBytes(PACK_BYTES));
    let settled = false;
    void third.finally(() => (settled = true));
    for (let turns = 0; turns < 50; turns += 1) await turn();
    expect([settled, uploading(), store.objects.size]).toEqual([false, 2, 0]);
    release();
    await third;
    await until(() => uploading() === 2);
    release();
    release();
    await writer.flush();
    expect(store.objects.size).toBe(3);
  });

  it('says where a pack is only when it is there', async () => {
    const { writer, uploading, release } = writerWithSlowStore();
    await writer.store(randomBytes(PACK_BYTES));
    await until(() => uploading() === 1);
    expect([writer.pack(0), writer.newPacks]).toEqual([undefined, 0]);
    release();
    await writer.flush();
    expect(writer.pack(0)?.key).toMatch(/^packs\//);
    expect(writer.newPacks).toBe(1);
  });

  it('fails at the flush, and for ever after, when an upload failed that nobody waited for', async () => {
    const { writer, store, uploading, release } = writerWithSlowStore();
    await writer.store(randomBytes(PACK_BYTES));
    await until(() => uploading() === 1);
    release(new Error('the disk is full'));
    await turn();
    await expect(writer.flush()).rejects.toThrow('the disk is full');
    await expect(writer.store(randomBytes(10))).rejects.toThrow('the disk is full');
    await expect(writer.flushIndex()).rejects.toThrow('the disk is full');
    expect(store.objects.size).toBe(0);
  });

  it('names each pack in the index segment that was written for it', async () => {
    const { writer, store, uploading, release } = writerWithSlowStore();
    for (let pack = 0; pack < 2; pack += 1) {
      await writer.store(randomBytes(PACK_BYTES));
      await until(() => uploading() === 1);
      release();
      await writer.flush();
      await writer.flushIndex();
    }
    const [first, second] = [writer.pack(0)!.segment, writer.pack(1)!.segment];
    expect(first?.key).not.toBe(second?.key);
    expect([...store.objects.keys()].filter((key) => key.startsWith('index/')).toSorted()).toEqual(
      [first!.key, second!.key].toSorted(),
    );
  });
});
