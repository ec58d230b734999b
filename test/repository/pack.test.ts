import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { blobIdOf } from '../../src/repository/blob-id.ts';
import { compressBlob } from '../../src/repository/compress.ts';
import {
  createPackBuilder,
  randomPackTarget,
  readBlob,
  readPack,
  scanPack,
} from '../../src/repository/pack.ts';
import type { SealedPack } from '../../src/repository/pack.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import { createSpareBuffers } from '../../src/repository/spare-buffers.ts';
import { endOfTar, paddingAfter, tarHeader } from '../../src/repository/ustar.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

const key = Buffer.alloc(32, 3);
const folder = mkdtempSync(join(tmpdir(), 'lifeboat-pack-'));
const contents = [
  Buffer.alloc(0),
  Buffer.from('a'),
  Buffer.alloc(300_000, 'COPY public.events (event_id) FROM stdin;\n'),
  randomBytes(100_000),
  // Kept as it is, in blocks of 128 KiB.
  randomBytes(256 * 1024),
  randomBytes(300_000),
  Buffer.alloc(256),
];
let identity = '';
let recipient = '';

beforeAll(async () => {
  const pair = await generateIdentity();
  identity = pair.identity.reveal();
  recipient = pair.recipient;
});

afterAll(() => rmSync(folder, { recursive: true }));

async function packOf(blobs: readonly Uint8Array[]): Promise<SealedPack> {
  const builder = createPackBuilder(1000, createSpareBuffers(0));
  for (const content of blobs) builder.add(blobIdOf(key, content), compressBlob(content), content.length);
  return builder.seal([recipient]);
}

/** A tar as an attacker who knows the recipient could seal it. */
function tarOf(members: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const parts = members.flatMap(([name, body]) => [
    tarHeader(name, body.length),
    body,
    paddingAfter(body.length),
  ]);
  return Buffer.concat([...parts, endOfTar]);
}

describe('a pack', () => {
  it('gives every blob back', async () => {
    const pack = await packOf(contents);
    const tar = await readPack(pack.file, [identity]);
    expect(pack.entries.map((entry) => entry.sizeBytes)).toEqual(contents.map((content) => content.length));
    for (const [i, entry] of pack.entries.entries()) {
      expect(Buffer.compare(readBlob(tar, entry, key), contents[i]!)).toBe(0);
    }
  });

  it('is named by the SHA-256 of its bytes', async () => {
    const pack = await packOf(contents);
    expect(pack.name).toBe(createHash('sha256').update(pack.file).digest('hex'));
    expect(pack.key).toBe(`packs/${pack.name.slice(0, 2)}/${pack.name}.age`);
  });

  it('tells without its index what is in it', async () => {
    const pack = await packOf(contents);
    expect(scanPack(await readPack(pack.file, [identity]))).toEqual(pack.entries);
  });

  it('is recovered by hand with age, tar and zstd', async () => {
    const pack = await packOf(contents);
    const paths = { age: join(folder, 'pack.age'), key: join(folder, 'key'), tar: join(folder, 'pack.tar') };
    writeFileSync(paths.age, pack.file);
    writeFileSync(paths.key, identity, { mode: 0o600 });
    const run = (command: string, args: readonly string[]): void => {
      const { status, stderr } = spawnSync(command, args);
      expect([status, stderr.toString()]).toEqual([0, '']);
    };
    run('age', ['-d', '-i', paths.key, '-o', paths.tar, paths.age]);
    run('tar', ['-x', '-f', paths.tar, '-C', folder, '--wildcards', 'c/*']);
    expect(readdirSync(join(folder, 'c')).toSorted()).toEqual(
      pack.entries.map((entry) => entry.id).toSorted(),
    );
    for (const content of contents) {
      const path = join(folder, 'c', blobIdOf(key, content));
      run('zstd', ['-d', '-q', path, '-o', `${path}.out`]);
      expect(Buffer.compare(readFileSync(`${path}.out`), content)).toBe(0);
    }
  });

  it('aims at 24 to 40 MiB, each time another size', () => {
    const targets = Array.from({ length: 50 }, randomPackTarget);
    expect(Math.min(...targets)).toBeGreaterThanOrEqual(24 << 20);
    expect(Math.max(...targets)).toBeLessThan(40 << 20);
    expect(new Set(targets).size).toBeGreaterThan(40);
  });

  it('does not show by its size whether a file has one byte more or less', async () => {
    const sizes = async (length: number): Promise<number[]> => {
      const found = await Promise.all(Array.from({ length: 40 }, () => packOf([randomBytes(length)])));
      return found.map((pack) => pack.file.length).toSorted((a, b) => a - b);
    };
    // 512 and 513 bytes differ by a block before they are padded.
    const [smaller, larger] = [await sizes(512 - 14), await sizes(513 - 14)];
    expect(new Set(smaller).size).toBeGreaterThan(5);
    expect(smaller.at(-1)).toBeGreaterThan(larger[0]!);
    expect(larger.at(-1)).toBeGreaterThan(smaller[0]!);
  });

  it('costs at most 4 % more by its padding when it is large', async () => {
    const content = randomBytes(4 << 20);
    const pack = await packOf([content]);
    expect(pack.file.length / content.length).toBeLessThan(1.04 + 65_536 / content.length);
  });
});

describe('a blob', () => {
  it('is refused when its content is not what its id says', async () => {
    const pack = await packOf(contents);
    const tar = await readPack(pack.file, [identity]);
    const [, second, third] = pack.entries;
    const lie = { ...third!, id: second!.id };
    expect(() => readBlob(tar, lie, key)).toThrow(expect.objectContaining({ code: 'repository-damaged' }));
    expect(() => readBlob(tar, third!, Buffer.alloc(32))).toThrow(
      expect.objectContaining({ code: 'repository-damaged' }),
    );
  });

  it.each([
    ['it lies behind the end', { offset: 1 << 30 }],
    ['it is longer than the pack', { storedBytes: 1 << 30 }],
    ['it lies before the start', { offset: -512 }],
    ['it is cut', { storedBytes: 20 }],
    ['its place is empty', { storedBytes: 0 }],
    ['its place is no number', { offset: Number.NaN }],
    ['it is larger than declared', { sizeBytes: 299_999 }],
    ['it is smaller than declared', { sizeBytes: 300_001 }],
    ['its declared size is absurd', { sizeBytes: 2 ** 40 }],
  ])('is refused by name when %s', async (_, change) => {
    const pack = await packOf(contents);
    const tar = await readPack(pack.file, [identity]);
    const entry = { ...pack.entries[2]!, ...change };
    expect(() => readBlob(tar, entry, key)).toThrow(
      expect.objectContaining({ code: 'repository-damaged', message: expect.stringContaining(entry.id) }),
    );
  });

  it('that decompresses to gigabytes is stopped at its declared size', () => {
    const bomb = zstdCompressSync(Buffer.alloc(256 << 20), {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
    });
    expect(bomb.length).toBeLessThan(100_000);
    const id = '0'.repeat(64);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => readBlob(bomb, { id, offset: 0, storedBytes: bomb.length, sizeBytes: 1000 }, key)).toThrow(
      expect.objectContaining({ code: 'repository-damaged' }),
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
  });
});

describe('scanning a pack', () => {
  const frame = zstdCompressSync(Buffer.from('content'));
  const name = `c/${'a'.repeat(64)}`;

  it.each([
    '../x',
    '/etc/passwd',
    `c/${'A'.repeat(64)}`,
    `c/${'a'.repeat(63)}`,
    `c/${'a'.repeat(64)}/x`,
    'pad2',
    'c/',
  ])('refuses the member %j', (member) => {
    expect(() => scanPack(tarOf([[member, frame]]))).toThrow(
      expect.objectContaining({ code: 'repository-damaged' }),
    );
  });

  it('refuses a link that has the name of a blob', () => {
    const tar = Buffer.from(tarOf([[name, frame]]));
    // The type flag, and with it the lowest digit of the checksum: `0` becomes `2`, a symbolic link.
    tar[156] = tar[156]! + 2;
    const sum = Number.parseInt(tar.toString('latin1', 148, 154), 8) + 2;
    tar.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
    expect(() => scanPack(tar)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('no blob') }),
    );
  });

  it('refuses members that are no zstd frame or do not state their size', () => {
    const streamed = Buffer.from(frame);
    // Frame header descriptor without content size and with a window descriptor.
    streamed[4] = 0;
    for (const body of [Buffer.from('plain'), Buffer.alloc(0), streamed, frame.subarray(0, 5)]) {
      expect(() => scanPack(tarOf([[name, body]]))).toThrow(
        expect.objectContaining({ code: 'repository-damaged' }),
      );
    }
  });

  it.each([0, 1, 255, 256, 65_791, 65_792, 1_000_000])(
    'finds the size of a blob of %i bytes',
    async (size) => {
      const pack = await packOf([randomBytes(size)]);
      expect(scanPack(await readPack(pack.file, [identity]))[0]?.sizeBytes).toBe(size);
    },
  );

  it('refuses a pack that was cut between two members, or has something behind its end', () => {
    const tar = tarOf([[name, frame]]);
    for (const broken of [
      tar.subarray(0, 0),
      tar.subarray(0, 512),
      tar.subarray(0, 1024),
      tar.subarray(0, 1536),
      Buffer.concat([tar, Buffer.from('x')]),
      Buffer.concat([tar, tar]),
    ]) {
      expect(() => scanPack(broken)).toThrow(expect.objectContaining({ code: 'repository-damaged' }));
    }
  });
});
