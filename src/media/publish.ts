import { linkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { LifeboatError } from '../core/errors.ts';
import { openMediaDirectory } from './directory.ts';
import type { MediaRoot } from './restore.ts';
import { unwritable, type NewMediaFile, type StagedFile } from './stage.ts';
import { syncFileSystem } from './sync.ts';

/** Gives staged files their names. */
export interface Publisher {
  /** Errors: `target-not-empty`, `disk-full`, `file-unwritable`. */
  add(staged: StagedFile): Promise<void>;
  /** Of a durable root everything, names too, is on the disk when this resolves. */
  finish(): Promise<void>;
  /** Removes what has no name yet. */
  discard(): void;
}

/** One flush of the file system for so many: a flush for each waits for the disk a thousand times. */
const BATCH_FILES = 512;
const BATCH_BYTES = 128 * 1024 * 1024;

/**
 * A link, because it never replaces anything. Content is on the disk before its name is, in batches, so that a power cut leaves
 * no name without its content.
 */
export function createPublisher(root: MediaRoot, onDone: (file: NewMediaFile) => void): Publisher {
  const unnamed = new Set<StagedFile>();
  let batch: StagedFile[] = [];
  let batchBytes = 0;
  let before: Promise<void> = Promise.resolve();

  const name = async (staged: StagedFile): Promise<void> => {
    try {
      linkSync(staged.temporary, staged.target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(staged.target, error);
      await requireSame(root, staged.file);
    }
    unlinkSync(staged.temporary);
    unnamed.delete(staged);
    onDone(staged.file);
  };
  const nameAll = (): Promise<void> => {
    const files = batch;
    [batch, batchBytes] = [[], 0];
    before = before.then(async () => {
      await syncFileSystem(root.path);
      for (const staged of files) await name(staged);
    });
    return before;
  };
  return {
    async add(staged) {
      unnamed.add(staged);
      if (!root.durable) return name(staged);
      batch.push(staged);
      batchBytes += staged.file.sizeBytes;
      if (batch.length >= BATCH_FILES || batchBytes >= BATCH_BYTES) await nameAll();
    },
    async finish() {
      if (!root.durable) return;
      await nameAll();
      await syncFileSystem(root.path);
    },
    discard() {
      for (const { temporary } of unnamed) unlinkSync(temporary);
      unnamed.clear();
    },
  };
}

async function requireSame(root: MediaRoot, file: NewMediaFile): Promise<void> {
  const directory = await openMediaDirectory(root.path);
  const difference = await directory.compare(file.path, {
    sizeBytes: file.sizeBytes,
    sha256: file.sha256 ?? null,
  });
  if (difference === undefined && file.sha256 !== undefined) return;
  throw new LifeboatError(
    'target-not-empty',
    `${join(root.path, file.path)} exists already${difference === undefined ? '' : ` and differs: ${difference}`}`,
    { hint: 'Restore into an empty media directory.' },
  );
}
