import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from '../config/zod.ts';
import { ensurePrivateDirectory } from '../storage/durable-file.ts';
import { comparePaths } from './walk.ts';

/**
 * What this machine saw of a media store at its last backup: files whose hash no database knows, with the stamp that tells
 * whether they changed, and rows that had no file. It spares reading, and nothing else: without it everything is looked at again.
 * A file of lines in path order, like the catalogue, so that neither is ever whole in memory. No fsync: what is torn is not used.
 */
export interface SeenFile {
  readonly path: string;
  /** `MediaStat.stamp`; empty when there was no file. */
  readonly stamp: string;
  /** Lower-case hex; empty when there was no file. */
  readonly sha256: string;
}

/** The comparison of all rows with all files. */
export interface Comparison {
  readonly at: Date;
  /** The first of them, and how many. */
  readonly orphans: { readonly listed: readonly string[]; readonly count: number };
}

export interface SeenBefore {
  /** Undefined: not known, or of another directory. */
  readonly compared: Comparison | undefined;
  /** Paths must come in ascending order. */
  find(path: string): SeenFile | undefined;
  close(): void;
}

export interface SeenNow {
  /** In ascending order of paths. */
  keep(file: SeenFile): void;
  /** Takes the place of what was seen before. */
  finish(): void;
  discard(): void;
}

const headerSchema = z.strictObject({
  v: z.literal(1),
  root: z.string(),
  compared_at: z.iso.datetime(),
  orphans: z.array(z.string()),
  orphan_count: z.int().nonnegative(),
});
const lineSchema = z.tuple([z.string(), z.string(), z.string().regex(/^(?:[0-9a-f]{64})?$/)]);

const BUFFER_BYTES = 1024 * 1024;
const NOTHING: SeenBefore = { compared: undefined, find: () => undefined, close: () => undefined };

/** `root`: the media store whose files are meant. Whatever is wrong with the file, it is as if there was none. */
export function readSeenFiles(path: string, root: string): SeenBefore {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const lines = linesOf(fd);
    const header = headerSchema.parse(JSON.parse(String(lines.next().value)));
    if (header.root !== root) throw new Error('of another directory');
    const { orphans: listed, orphan_count: count } = header;
    const compared = { at: new Date(header.compared_at), orphans: { listed, count } };
    return { compared, find: finder(lines), close: closer(fd) };
  } catch {
    if (fd !== undefined) closeSync(fd);
    return NOTHING;
  }
}

function closer(fd: number): () => void {
  return () => closeSync(fd);
}

function finder(lines: Iterator<string>): SeenBefore['find'] {
  let next = entryOf(lines);
  return (path) => {
    while (next !== undefined && comparePaths(next.path, path) < 0) next = entryOf(lines);
    return next?.path === path ? next : undefined;
  };
}

/** Undefined at the end, which is also where something is not as it was written. */
function entryOf(lines: Iterator<string>): SeenFile | undefined {
  const line = lines.next();
  if (line.done === true) return undefined;
  try {
    const [path, stamp, sha256] = lineSchema.parse(JSON.parse(line.value));
    return { path, stamp, sha256 };
  } catch {
    return undefined;
  }
}

function* linesOf(fd: number): Generator<string> {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let rest = Buffer.alloc(0);
  for (;;) {
    const bytesRead = readSync(fd, buffer);
    if (bytesRead === 0) return;
    const text = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = text.indexOf(10); end !== -1; end = text.indexOf(10, start)) {
      yield text.toString('utf8', start, end);
      start = end + 1;
    }
    rest = text.subarray(start);
  }
}

/** A disk that is full, and the like, costs no more than the next backup's reading. */
export async function writeSeenFiles(path: string, root: string, compared: Comparison): Promise<SeenNow> {
  const temporary = `${path}.${process.pid}.new`;
  const opened = await openNew(temporary).catch(() => undefined);
  if (opened === undefined)
    return { keep: () => undefined, finish: () => undefined, discard: () => undefined };
  const fd = opened;
  let open = true;
  let waiting: string[] = [];
  let waitingLength = 0;
  const discard = (): void => {
    if (!open) return;
    open = false;
    closeSync(fd);
    rmSync(temporary, { force: true });
  };
  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(''));
    [waiting, waitingLength] = [[], 0];
    if (!open) return;
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
    } catch {
      discard();
    }
  };
  const line = (value: unknown): void => {
    const text = `${JSON.stringify(value)}\n`;
    waiting.push(text);
    waitingLength += text.length;
    if (waitingLength >= BUFFER_BYTES) flush();
  };
  const { at, orphans } = compared;
  line({
    v: 1,
    root,
    compared_at: at.toISOString(),
    orphans: orphans.listed,
    orphan_count: orphans.count,
  });
  return {
    keep: ({ path: seen, stamp, sha256 }) => line([seen, stamp, sha256]),
    finish() {
      flush();
      if (!open) return;
      open = false;
      closeSync(fd);
      renameSync(temporary, path);
    },
    discard,
  };
}

async function openNew(path: string): Promise<number> {
  await ensurePrivateDirectory(dirname(path));
  rmSync(path, { force: true });
  return openSync(path, 'wx', 0o600);
}
