import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CatalogueRow, MediaCatalogue } from '../../src/media/port.ts';

/** A media directory with these files, gone when the test ends. */
export async function store(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'lifeboat-media-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Rows that expect nothing but the file's existence, sorted as the database sorts them. */
export function catalogueOf(paths: readonly string[]): MediaCatalogue {
  const sorted = paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return {
    async *rows() {
      for (const path of sorted) {
        yield {
          path,
          mediaClass: path.split('/')[0] as CatalogueRow['mediaClass'],
          sizeBytes: null,
          sha256: null,
        };
      }
    },
  };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items);
}
