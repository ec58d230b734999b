import { createCipheriv, createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { BENCH_CACHE } from './places.ts';
import { say } from './terminal.ts';

export interface MediaTree {
  /** A media store: `local_content/AA/BB/rest` below it. */
  readonly directory: string;
  /** One JSON object a line, in path order: what Synapse's database knows of the files. */
  readonly rowsFile: string;
  /** The same with the new files in it. */
  readonly rowsWithNewFile: string;
  /** Files that are not in the tree yet, in the same layout. */
  readonly newDirectory: string;
  readonly files: number;
  readonly bytes: number;
  readonly newPaths: readonly string[];
}

export interface MediaTreeOptions {
  readonly files: number;
  readonly meanBytes: number;
  /** `log-normal` as uploads are, or all between the mean and half of it. */
  readonly sizes: 'log-normal' | 'narrow';
  /** Share of new files for the backup after the first. */
  readonly newShare: number;
  /** Made below this directory. */
  readonly parent?: string;
}

/** Spread of the logarithm of sizes: most files below 50 KB, some of several MB. */
const SIGMA = 1.2;
const LARGEST = 30 * 1024 * 1024;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The same tree for the same options, everywhere: content is the key stream of AES-CTR, so it cannot be compressed. */
export function mediaTree(options: MediaTreeOptions): MediaTree {
  const { files, meanBytes, sizes } = options;
  const parent = options.parent ?? BENCH_CACHE;
  const directory = join(parent, `media-${files}-${meanBytes}-${sizes}`);
  const entries = plan(options);
  const old = entries.filter(({ fresh }) => !fresh);
  const tree: MediaTree = {
    directory: join(directory, 'media_store'),
    rowsFile: join(directory, 'rows.jsonl'),
    rowsWithNewFile: join(directory, 'rows-with-new.jsonl'),
    newDirectory: join(directory, 'new'),
    files: old.length,
    bytes: old.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    newPaths: entries.filter(({ fresh }) => fresh).map(({ path }) => path),
  };
  if (existsSync(directory)) return tree;
  say(`making ${tree.files} media files, ${Math.round(tree.bytes / 1e6)} MB, in ${directory}`);
  const unfinished = `${directory}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const rows = entries.map((entry) => {
    const path = join(unfinished, entry.fresh ? 'new' : 'media_store', entry.path);
    mkdirSync(dirname(path), { recursive: true });
    const content = keyStream(entry.number, entry.sizeBytes);
    writeFileSync(path, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { ...entry, sha256 };
  });
  writeRows(
    join(unfinished, 'rows.jsonl'),
    rows.filter(({ fresh }) => !fresh),
  );
  writeRows(join(unfinished, 'rows-with-new.jsonl'), rows);
  renameSync(unfinished, directory);
  return tree;
}

interface PlannedFile {
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
  readonly fresh: boolean;
}

function plan({ files, meanBytes, sizes, newShare }: MediaTreeOptions): PlannedFile[] {
  const random = uniform(`media ${files} ${meanBytes} ${sizes}`);
  const total = files + Math.max(1, Math.round(files * newShare));
  const planned = Array.from({ length: total }, (_, number): PlannedFile => {
    const id = Array.from({ length: 24 }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const sizeBytes =
      sizes === 'narrow'
        ? Math.round(meanBytes * (0.5 + random() / 2))
        : Math.min(LARGEST, Math.max(200, Math.round(meanBytes * Math.exp(SIGMA * normal - SIGMA ** 2 / 2))));
    const path = `local_content/${id.slice(0, 2)}/${id.slice(2, 4)}/${id.slice(4)}`;
    return { number, path, sizeBytes, fresh: number >= files };
  });
  // ASCII: the order of JavaScript is that of bytes.
  return planned.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** Numbers of [0, 1), 48 bits each. */
function uniform(seed: string): () => number {
  const key = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(6 * 1024);
  let block = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at >= block.length) [block, at] = [stream.update(zeros), 0];
    at += 6;
    return block.readUIntBE(at - 6, 6) / 2 ** 48;
  };
}

function keyStream(number: number, sizeBytes: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeUInt32BE(number);
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 'lifeboat'), iv).update(Buffer.alloc(sizeBytes));
}

function writeRows(file: string, rows: readonly { path: string; sizeBytes: number; sha256: string }[]): void {
  const fd = openSync(file, 'w');
  for (const { path, sizeBytes, sha256 } of rows)
    writeSync(fd, `${JSON.stringify({ path, sizeBytes, sha256 })}\n`);
  closeSync(fd);
}
