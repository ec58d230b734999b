import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { RsyncSettings } from '../../../src/config/index.ts';
import { rsyncStrategy } from '../../../src/jobs/media/rsync.ts';
import type { MediaOutcome } from '../../../src/jobs/media/strategy.ts';
import type { CatalogueRow } from '../../../src/media/port.ts';
import type { MediaFile } from '../../../src/repository/manifest.ts';
import type { BackupWriter } from '../../../src/repository/port.ts';
import { comparePaths } from '../../../src/media/walk.ts';
import { sha256 } from '../store.ts';
import { REPOSITORY } from './names.ts';

export { REPOSITORY } from './names.ts';
export const DAY = 86_400_000;

/** A media store with rows, a place, and backups of the one to the other by real rsync. */
export interface RsyncRun {
  readonly source: string;
  readonly place: string;
  readonly state: string;
  readonly rows: CatalogueRow[];
  /** Writes a file and its row. */
  add(path: string, content: string | Uint8Array, options?: { readonly hashed?: boolean }): void;
  backUp(change?: BackUpChange): Promise<BackedUp>;
  /** Of the place, oldest first; only whole ones. */
  generations(): string[];
  /** Where a file lies in a generation. */
  at(backedUp: BackedUp, path: string): string;
  inode(backedUp: BackedUp, path: string): number;
}

export interface BackUpChange {
  readonly settings?: Partial<RsyncSettings>;
  readonly compareEveryMs?: number;
  readonly onRow?: (path: string) => void;
  readonly signal?: AbortSignal;
}

export interface BackedUp extends MediaOutcome {
  readonly snapshotId: string;
  readonly files: readonly MediaFile[];
  readonly messages: readonly string[];
}

export function rsyncRun(settings: Partial<RsyncSettings> = {}): RsyncRun {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-rsync-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [source, place, state] = ['source', 'place', 'state'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(source);
  const rows: CatalogueRow[] = [];
  const folder = join(place, REPOSITORY);
  const placeOf = ({ component }: BackedUp, path: string): string => {
    if (component.strategy === 'repository') throw new Error('not at a place');
    return join(place, component.external.generation, path);
  };
  return {
    source,
    place,
    state,
    rows,
    add: (path, content, { hashed = true } = {}) => {
      mkdirSync(dirname(join(source, path)), { recursive: true });
      writeFileSync(join(source, path), content);
      const mediaClass = path.split('/')[0] as CatalogueRow['mediaClass'];
      rows.push({
        path,
        mediaClass,
        sizeBytes: content.length,
        sha256: hashed ? sha256(content) : null,
      });
      rows.sort((a, b) => comparePaths(a.path, b.path));
    },
    backUp: async (change = {}) => {
      const files: MediaFile[] = [];
      const messages: string[] = [];
      const snapshotId = randomBytes(16).toString('hex');
      const writer: Pick<BackupWriter, 'snapshotId' | 'addMedia'> = {
        snapshotId,
        addMedia: async (file) => {
          files.push(file);
          change.onRow?.(file.path);
        },
      };
      const strategy = rsyncStrategy(
        {
          ...{ place, source: undefined, ssh: undefined, bandwidthLimit: undefined, timeoutMs: 60_000 },
          ...settings,
          ...change.settings,
        },
        source,
        false,
      );
      const catalogue = {
        rows: async function* () {
          yield* rows;
        },
      };
      await strategy.requireThere(catalogue);
      const outcome = await strategy.backUp({
        catalogue,
        classes: ['local_content', 'local_thumbnails'],
        writer: writer as BackupWriter,
        repositoryId: REPOSITORY,
        seenFile: join(state, 'media', `${REPOSITORY}.seen`),
        compareEveryMs: change.compareEveryMs ?? 7 * DAY,
        now: new Date(),
        progress: ({ message }) => message !== undefined && messages.push(message),
        signal: change.signal,
      });
      return { ...outcome, snapshotId, files, messages };
    },
    generations: () =>
      readdirSync(folder)
        .filter((name) => !name.startsWith('.'))
        .toSorted(),
    at: placeOf,
    inode: (backedUp, path) => statSync(placeOf(backedUp, path)).ino,
  };
}

/** Another content of the same size and time: what a disk does that forgets. */
export function damage(path: string): void {
  const reference = `${path}.time`;
  execFileSync('touch', ['-r', path, reference]);
  writeFileSync(path, 'x'.repeat(statSync(path).size));
  execFileSync('touch', ['-r', reference, path]);
  rmSync(reference);
}
