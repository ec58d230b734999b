import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

/**
 * Each fault hits a process of its own: limits, injected errors and kills would hit the test runner otherwise. That process puts
 * objects of 100 kB under k/0, k/1 ... and prints one line a put.
 */
const PROGRAM = `
  const [, module, root, count] = process.argv;
  const { openLocalStore } = await import(module);
  process.on('SIGXFSZ', () => {});
  const store = await openLocalStore(root);
  for (let i = 0; i < Number(count); i += 1) {
    console.log(await store.put('k/' + i, Buffer.alloc(100_000)).catch((error) => error.code + ': ' + error.message));
  }
`;
const MODULE = join(import.meta.dirname, '../../src/storage/local.ts');
const OBJECT_BYTES = 100_000;

let folder: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-fault-'));
  root = join(folder, 'store');
  mkdirSync(root);
});

afterEach(() => rmSync(folder, { recursive: true }));

const putter = (count: number): string[] => [
  process.execPath,
  '--input-type=module',
  '-e',
  PROGRAM,
  MODULE,
  root,
  String(count),
];

/** What the command printed, by line, and the signal that ended it. */
function run(command: readonly string[]): { lines: string[]; signal: string | null } {
  const [program, ...args] = command;
  // One thread does all file work, so that strace counts its calls in one row.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const { stdout, signal, error } = spawnSync(program!, args, { encoding: 'utf8', env });
  if (error !== undefined) throw error;
  return { lines: stdout.split('\n').filter((line) => line !== ''), signal };
}

/** Runs a script with mounts of its own; works for ordinary users too. */
const inOwnMounts = (script: string, count: number): string[] => [
  'unshare',
  '--map-root-user',
  '--mount',
  'bash',
  '-ec',
  `root=$1; shift; ${script}`,
  'bash',
  root,
  ...putter(count),
];

/** Sizes of the objects that a reader would see. */
function objectSizes(): number[] {
  const place = join(root, 'k');
  const names = readdirSync(root).includes('k') ? readdirSync(place) : [];
  return names.map((name) => statSync(join(place, name)).size);
}

describe('a local store', () => {
  it('says which path is too large for the process, and keeps nothing of it', () => {
    const { lines } = run(['bash', '-c', 'ulimit -f 50; exec "$@"', 'bash', ...putter(1)]);
    expect(lines).toEqual([expect.stringMatching(`^disk-full: cannot write ${root}/k/0: .*EFBIG`)]);
    expect(objectSizes()).toEqual([]);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    expect(run(putter(1)).lines).toEqual(['created']);
  });

  it('on a full disk keeps whole objects only, says so, and goes on when there is room', () => {
    const script =
      'mount -t tmpfs -o size=1m none $root; "$@"; stat -c "size %s" $root/k/* $root/tmp/* || true; rm $root/k/[01]; "$@"';
    const { lines } = run(inOwnMounts(`${script} 2>&1`, 15));
    const sizes = lines.filter((line) => line.startsWith('size '));
    const [first, second] = [lines.slice(0, 15), lines.slice(-15)];
    const created = first.filter((line) => line === 'created');
    expect(created.length).toBeGreaterThan(5);
    expect(first.slice(created.length)).toEqual(
      first
        .slice(created.length)
        .map((_, i) => expect.stringContaining(`disk-full: cannot write ${root}/k/${created.length + i}: `)),
    );
    expect(first.length).toBeGreaterThan(created.length);
    expect(sizes).toEqual(created.map(() => `size ${OBJECT_BYTES}`));
    expect(second.filter((line) => line === 'created')).toHaveLength(2);
  });

  it('on a read-only file system says so, and still reads', () => {
    expect(run(putter(1)).lines).toEqual(['created']);
    const { lines } = run(inOwnMounts('mount --bind $root $root; mount -o remount,ro,bind $root; "$@"', 1));
    expect(lines).toEqual([expect.stringMatching(`^file-unwritable: cannot write ${root}/k/0: .*EROFS`)]);
    expect(objectSizes()).toEqual([OBJECT_BYTES]);
  });

  // One put: fsync of root twice (tmp and k are new), of the file, of k and of root; one link, two mkdir, one unlink.
  const points = [
    ...[1, 2, 3, 4, 5].map((when) => ['fsync', when] as const),
    ...[1, 2].map((when) => ['mkdir', when] as const),
    ['link', 1] as const,
  ];

  it.each(points)('never says created when the disk fails at %s %i', (call, when) => {
    const inject = [
      'strace',
      '-f',
      '-qq',
      '-o',
      join(folder, 'trace'),
      '-e',
      `inject=${call}:error=EIO:when=${when}`,
    ];
    expect(run([...inject, ...putter(1)]).lines).toEqual([expect.stringMatching(/^file-unwritable: .*EIO/)]);
    expect(objectSizes().every((size) => size === OBJECT_BYTES)).toBe(true);
    expect(run(putter(1)).lines).toEqual([expect.stringMatching(/^(created|exists)$/)]);
    expect(objectSizes()).toEqual([OBJECT_BYTES]);
  });

  it.each([...points, ['unlink', 1] as const])(
    'shows an object whole or not at all after a kill at %s %i',
    (call, when) => {
      const inject = [
        'strace',
        '-f',
        '-qq',
        '-o',
        join(folder, 'trace'),
        '-e',
        `inject=${call}:signal=KILL:when=${when}`,
      ];
      expect(run([...inject, ...putter(1)]).lines).toEqual([]);
      expect(objectSizes().every((size) => size === OBJECT_BYTES)).toBe(true);
      expect(run(putter(1)).lines).toEqual([expect.stringMatching(/^(created|exists)$/)]);
      expect(objectSizes()).toEqual([OBJECT_BYTES]);
    },
  );
});
