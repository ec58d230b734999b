import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A path of a Unix socket has at most 107 bytes (unix(7)); its name in there has 15. */
const LONGEST = 107 - 1 - '.s.PGSQL.5432'.length;
const PREFIX = 'lifeboat-pg-';
let swept: Promise<void> | undefined;

/** 0700, removed with everything in it when it is disposed of; by the next process of this user when we are killed. */
export async function privateDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  await (swept ??= sweep());
  const name = `${await prefixHere()}${process.pid}-`;
  const path = await mkdtemp(join(parentOf(name), name));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function parentOf(name: string): string {
  const sizeBytes = Buffer.byteLength(join(tmpdir(), `${name}XXXXXX`));
  return sizeBytes > LONGEST ? '/tmp' : tmpdir();
}

/** What processes that were killed have left: a password in clear, if only for their own user. */
async function sweep(): Promise<void> {
  const prefix = await prefixHere();
  for (const parent of new Set([tmpdir(), '/tmp'])) {
    for (const name of await readdir(parent).catch((): string[] => [])) {
      const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
      const path = join(parent, name);
      if (pid === undefined || isAlive(Number(pid))) continue;
      const found = await lstat(path).catch(() => undefined);
      if (found?.isDirectory() === true && found.uid === process.getuid?.())
        await rm(path, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

/** With the process namespace: in another container on the same /tmp the same number is another process (pid_namespaces(7)). */
async function prefixHere(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${PREFIX}${/\d+/.exec(namespace)?.[0] ?? 'unknown'}-`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
