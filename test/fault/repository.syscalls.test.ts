import { createHash } from 'node:crypto';
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { promisedSha256 } from '../../src/repository/object-names.ts';
import type { Repository } from '../../src/repository/port.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import {
  backUp,
  makeRepository,
  openOptions,
  readBack,
  seededSource,
  temporaryFolder,
  type Fixture,
} from '../repository/fixture.ts';
import { listAll } from '../repository/memory-store.ts';
import { hitFile, pointsOf, traced, type Fault, type Point, type Traced } from './traced-child.ts';

/** LIFEBOAT_FAULTS=whole: at every point instead of some; a quarter of an hour. */
const WHOLE = process.env['LIFEBOAT_FAULTS'] === 'whole';
const TIMEOUT_MS = (WHOLE ? 60 : 5) * 60_000;
const NOW = { dryRun: false, graceMs: 0 };

type Mode = 'backup' | 'prune';
const START = ['one', 'two', 'kept'];
const tally = new Map<string, number>();
const states = new Set<string>();
afterAll(() => {
  const hits = [...tally].map(([hit, count]) => `${count} x ${hit}\n`).join('');
  if (WHOLE) process.stdout.write(`${hits}${states.size} states\n`);
});

/** At a point of its own copy of a repository; then that must be sound, and go on. */
async function tryPoint(original: Fixture, mode: Mode, point: Point, fault: Fault): Promise<Traced> {
  await using folder = await temporaryFolder();
  const { path } = folder;
  await cp(original.directory, path, { recursive: true });
  const root = join(path, 'repository');
  const store = await openLocalStore(root);
  const open = () => original.open(openOptions(path), store);
  const seed = 'struck';

  const result = await traced({ directory: path, root, mode, seed }, point, fault);

  const keysAfter = (await listAll(store)).map(({ key }) => key);
  for (const key of keysAfter) {
    const promised = promisedSha256(key);
    if (promised === undefined) continue;
    expect(
      createHash('sha256')
        .update(await store.get(key))
        .digest('hex'),
      `half of ${key}`,
    ).toBe(promised);
  }
  await sound(await open(), mode === 'backup' ? START : START.slice(-1));
  const temporary = await readdir(join(root, 'tmp'));
  states.add(`${mode} ${stateOf(keysAfter)}, tmp ${temporary.length}`);
  const what = result.signal ?? (result.code === 0 ? 'unharmed' : 'failed');
  const hit = `${mode} ${fault} ${point.syscall}: ${what}`;
  tally.set(hit, (tally.get(hit) ?? 0) + 1);

  // Life goes on, by itself: a backup, a prune, and nothing is left over.
  const repository = await open();
  const { entry } = await backUp(repository, seededSource(seed));
  expect(await readBack(repository, entry.id)).toEqual(seededSource(seed));
  const others = (await repository.snapshots()).filter(({ id }) => id !== entry.id);
  await repository.forget(
    others.map(({ id }) => id),
    {},
  );
  await repository.prune(NOW);
  expect(await repository.prune({ ...NOW, dryRun: true })).toMatchObject({ markedObjects: 0 });
  await sound(await open(), [seed]);
  await store.sweepTemporary(-1);
  expect(await readdir(join(root, 'tmp'))).toEqual([]);
  return result;
}

/** Every snapshot that is there is there in full; those of `atLeast` are. */
async function sound(repository: Repository, atLeast: readonly string[]): Promise<void> {
  expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
    ok: true,
    findings: [],
  });
  const found = new Set<string>();
  for (const { id } of await repository.snapshots()) {
    const source = await readBack(repository, id);
    const seed = source.signingKey.trim().split(' ').at(-1)!;
    expect(source).toEqual(seededSource(seed));
    found.add(seed);
  }
  for (const seed of atLeast) expect(found).toContain(seed);
}

/** How many objects there are of each class. */
function stateOf(keys: readonly string[]): string {
  const classes = Object.groupBy(keys, (key) => key.split('/')[0]!);
  return Object.entries(classes)
    .map(([name, those]) => `${name} ${those!.length}`)
    .join(', ');
}

async function startingPoint(): Promise<Fixture> {
  const fixture = await makeRepository();
  for (const seed of START) await backUp(await fixture.open(), seededSource(seed));
  return fixture;
}

/** Of a run that nothing disturbs. */
async function pointsOfTrial(original: Fixture, mode: Mode): Promise<Point[]> {
  await using folder = await temporaryFolder();
  await cp(original.directory, folder.path, { recursive: true });
  const root = join(folder.path, 'repository');
  const trial = await traced({ directory: folder.path, root, mode, seed: 'trial' });
  expect(trial, trial.stderr).toMatchObject({ code: 0 });
  return pointsOf(trial);
}

/** So many of them, evenly spread; all in a whole run. */
function sampleOf<T>(all: readonly T[], count: number): T[] {
  return WHOLE ? [...all] : all.filter((_, at) => at % Math.ceil(all.length / count) === 0);
}

describe('killed by the kernel before one of its writes', () => {
  it.each<[Mode, number]>([
    ['backup', 16],
    ['prune', 8],
  ])(
    'a %s loses nothing, leaves nothing half visible, and the next ones work and clean up',
    { timeout: TIMEOUT_MS },
    async (mode, count) => {
      await using original = await startingPoint();
      const points = await pointsOfTrial(original, mode);
      expect(points.length).toBeGreaterThan(40);
      let killed = 0;
      for (const point of sampleOf(points, count))
        if ((await tryPoint(original, mode, point, 'signal=KILL')).signal === 'SIGKILL') killed += 1;
      // The order of calls varies a little, so the last of a kind may not come.
      expect(killed).toBeGreaterThan(0.8 * sampleOf(points, count).length);
    },
  );
});

describe('with a disk that fails one of its writes', () => {
  it.each<[Mode, Fault, number]>([
    ['backup', 'error=EIO', 6],
    ['backup', 'error=ENOSPC', 6],
    ['prune', 'error=EIO', 4],
    ['prune', 'error=ENOSPC', 4],
  ])(
    'a %s (%s) fails with a clear error or succeeds, and never damages a snapshot',
    { timeout: TIMEOUT_MS },
    async (mode, fault, count) => {
      await using original = await startingPoint();
      const points = await pointsOfTrial(original, mode);
      let failed = 0;
      for (const point of sampleOf(points, count)) {
        const result = await tryPoint(original, mode, point, fault);
        if (!hitFile(result) || result.code === 0) continue;
        failed += 1;
        const code = fault === 'error=ENOSPC' ? 'disk-full' : 'file-unwritable';
        expect(result.stderr, `${point.syscall} ${point.number}`).toContain(`code: '${code}'`);
      }
      expect(failed).toBeGreaterThan(0);
    },
  );
});
