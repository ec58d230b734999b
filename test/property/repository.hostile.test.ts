import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isLifeboatError } from '../../src/core/errors.ts';
import { archivePath, buildArchive, extractArchive } from '../../src/repository/archive.ts';
import { blobIdOf } from '../../src/repository/blob-id.ts';
import { compressBlob } from '../../src/repository/compress.ts';
import type { ArchivedFile } from '../../src/repository/manifest.ts';
import { createPackBuilder, readBlob, readPack, scanPack } from '../../src/repository/pack.ts';
import { createSpareBuffers } from '../../src/repository/spare-buffers.ts';
import { generateIdentity, seal, unseal } from '../../src/repository/seal.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

const key = Buffer.alloc(32, 9);
const folder = mkdtempSync(join(tmpdir(), 'lifeboat-hostile-'));
let identity = '';
let sealed: Uint8Array;
let packTar: Uint8Array;
let archive: { tar: Uint8Array; files: ArchivedFile[] };

beforeAll(async () => {
  const pair = await generateIdentity();
  identity = pair.identity.reveal();
  sealed = await seal(Buffer.alloc(70_000, 'x'), [pair.recipient]);
  const builder = createPackBuilder(1, createSpareBuffers(0));
  for (const content of ['', 'short', 'long '.repeat(1000)].map((text) => Buffer.from(text))) {
    builder.add(blobIdOf(key, content), compressBlob(content), content.length);
  }
  packTar = await readPack((await builder.seal([pair.recipient])).file, [identity]);
  archive = await buildArchive(
    ['/etc/a.yaml', '/etc/b/c.key'].map((source) => ({
      path: archivePath(source),
      source,
      role: 'other',
      mode: 0o600,
      body: Buffer.from(source),
    })),
  );
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: Uint8Array;
}

const edits = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.integer({ min: 0, max: 600 }),
    insert: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constant(new Uint8Array(512))),
  }),
  { minLength: 1, maxLength: 4 },
);

function mutate(bytes: Uint8Array, list: readonly Edit[]): Uint8Array {
  return list.reduce<Uint8Array>((before, { at, remove, insert }) => {
    const start = Math.floor(at * before.length);
    return Buffer.concat([before.subarray(0, start), insert, before.subarray(start + remove)]);
  }, bytes);
}

/** Either the work is done, or one of our errors says why not. */
async function orderly(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    if (!isLifeboatError(error) || error.code === 'internal') throw error;
    return undefined;
  }
}

describe('mutated objects', () => {
  it('that were sealed are refused, never opened as something else', async () => {
    await fc.assert(
      fc.asyncProperty(edits, async (list) => {
        const file = mutate(sealed, list);
        fc.pre(Buffer.compare(file, sealed) !== 0);
        expect(await orderly(() => unseal(file, [identity]))).toBeUndefined();
      }),
    );
  });

  it('that were packs give the right blobs or an error', async () => {
    await fc.assert(
      fc.asyncProperty(edits, async (list) => {
        const tar = mutate(packTar, list);
        await orderly(() => {
          for (const entry of scanPack(tar)) expect(blobIdOf(key, readBlob(tar, entry, key))).toBe(entry.id);
        });
      }),
    );
  });

  it('that were archives give exactly what the manifest names, or nothing at all', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(edits, async (list) => {
        const target = join(folder, String((run += 1)));
        const done = await orderly(async () => {
          await extractArchive(mutate(archive.tar, list), archive.files, target);
          return true;
        });
        const found = done === true ? readdirSync(target, { recursive: true }).toSorted() : [];
        expect(found).toEqual(done === true ? ['etc', 'etc/a.yaml', 'etc/b', 'etc/b/c.key'] : []);
        expect(readdirSync(folder).includes(String(run))).toBe(done === true);
      }),
    );
  });

  it('of no meaning at all are refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
        expect(await orderly(() => unseal(bytes, [identity]))).toBeUndefined();
        expect(await orderly(() => scanPack(bytes))).toBeUndefined();
        expect(
          await orderly(() => extractArchive(bytes, archive.files, join(folder, 'none'))),
        ).toBeUndefined();
      }),
    );
  });
});

describe('an archive', () => {
  const component = fc.string({ minLength: 1, maxLength: 120, unit: 'binary' }).filter((part) => {
    return (
      !/[/\0]/.test(part) &&
      part !== '.' &&
      part !== '..' &&
      part.isWellFormed() &&
      Buffer.byteLength(part) <= 255
    );
  });

  it('keeps a path of any length and script inside its target', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(component, { minLength: 1, maxLength: 6 }), async (parts) => {
        const source = `/${parts.join('/')}`;
        const input = {
          path: archivePath(source),
          source,
          role: 'other',
          mode: 0o600,
          body: Buffer.from(source),
        };
        const built = await buildArchive([input]);
        const target = join(folder, `path-${(run += 1)}`);
        await extractArchive(built.tar, built.files, target);
        const files = readdirSync(target, { recursive: true, withFileTypes: true }).filter((entry) =>
          entry.isFile(),
        );
        expect(files).toHaveLength(1);
      }),
    );
  });
});
