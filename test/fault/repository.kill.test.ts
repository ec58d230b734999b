import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { SnapshotEntry } from '../../src/repository/port.ts';
import { backUp, makeRepository, readBack, seededSource, type Fixture } from '../repository/fixture.ts';

const CHILD = fileURLToPath(new URL('repository-child.ts', import.meta.url));
const RANDOM_KILLS = process.env['LIFEBOAT_FAULTS'] === 'whole' ? 200 : 10;

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `killAfterMs` counts from the moment at which the repository is open. */
async function child(
  fixture: Fixture,
  mode: 'backup' | 'prune',
  seed: string,
  killAt: string,
  killAfterMs?: number,
): Promise<Ended> {
  const running = spawn(process.execPath, [CHILD, fixture.directory, fixture.root, mode, seed, killAt], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  running.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  running.stdout.on('data', async (text: Buffer) => {
    const first = stdout === '';
    stdout += text.toString();
    if (!first || killAfterMs === undefined) return;
    await sleep(killAfterMs);
    running.kill('SIGKILL');
  });
  return new Promise((resolve) =>
    running.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
}

/** Nothing committed is lost, the repository is sound without repair, and the newest snapshot reads back. */
async function survivors(
  fixture: Fixture,
  committed: Map<string, string>,
): Promise<readonly SnapshotEntry[]> {
  const repository = await fixture.open();
  const snapshots = await repository.snapshots();
  const ids = snapshots.map(({ id }) => id);
  for (const id of committed.keys()) expect(ids).toContain(id);
  expect(await repository.check({ readData: 'none' })).toMatchObject({ ok: true, findings: [] });
  return snapshots;
}

describe('a backup that is killed', () => {
  it(
    'at every put, before and after it, loses nothing; the next one works',
    { timeout: 180_000 },
    async () => {
      await using fixture = await makeRepository();
      const committed = new Map<string, string>();
      await backUp(await fixture.open(), seededSource('start')).then(({ entry }) =>
        committed.set(entry.id, 'start'),
      );
      const trial = await child(fixture, 'backup', 'trial', 'never');
      committed.set((await survivors(fixture, committed)).at(-1)!.id, 'trial');
      const operations = Number(/(\d+) operations/.exec(trial.stdout)?.[1]);
      expect(operations).toBeGreaterThan(8);

      let [killed, killedAfterTheRecord] = [0, 0];
      // How many puts a backup needs varies with what worker threads have compressed when: the record is met by its name.
      const places = [...Array.from({ length: operations }, (_, at) => `${at + 1}`), 'log'];
      for (const operation of places) {
        for (const moment of ['before', 'after']) {
          const seed = `${moment} ${operation}`;
          const { signal, stdout } = await child(fixture, 'backup', seed, seed);
          const snapshots = await survivors(fixture, committed);
          // Only the record makes a snapshot, and it is the last put. How many come before it varies a little with where
          // chunks end: a backup that needs fewer is not killed at all.
          const lastPut = [...stdout.matchAll(/^put (.+)$/gm)].at(-1)![1]!;
          const recorded = lastPut.startsWith('log/') && (moment === 'after' || signal === null);
          if (signal === 'SIGKILL') killed += 1;
          if (signal === 'SIGKILL' && recorded) killedAfterTheRecord += 1;
          expect(snapshots).toHaveLength(committed.size + (recorded ? 1 : 0));
          if (recorded) committed.set(snapshots.at(-1)!.id, seed);
        }
        const { entry } = await backUp(await fixture.open(), seededSource(`before ${operation}`));
        committed.set(entry.id, `before ${operation}`);
      }
      expect(killed).toBeGreaterThan(operations);
      expect(killedAfterTheRecord).toBeGreaterThan(0);
      const repository = await fixture.open();
      for (const [id, seed] of committed) expect(await readBack(repository, id)).toEqual(seededSource(seed));
      await repository.prune({ dryRun: false, graceMs: 0 });
      expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
        ok: true,
        findings: [],
      });
    },
  );

  it('at random moments loses nothing; the next one works', { timeout: 1_200_000 }, async () => {
    await using fixture = await makeRepository();
    const committed = new Map<string, string>();
    let killed = 0;
    for (let round = 0; round < RANDOM_KILLS; round += 1) {
      const { signal } = await child(fixture, 'backup', `killed ${round}`, 'never', randomInt(120));
      if (signal === 'SIGKILL') killed += 1;
      await survivors(fixture, committed);
      const { entry } = await backUp(await fixture.open(), seededSource(`whole ${round}`));
      committed.set(entry.id, `whole ${round}`);
    }
    expect(killed).toBeGreaterThan(0);
    const repository = await fixture.open();
    for (const [id, seed] of committed) expect(await readBack(repository, id)).toEqual(seededSource(seed));
    expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
  });
});

describe('a prune that is killed', () => {
  it(
    'at any mark, delete or done loses nothing; the next one finishes it',
    { timeout: 180_000 },
    async () => {
      for (let operation = 1; operation <= 10; operation += 1) {
        await using fixture = await makeRepository();
        for (const seed of ['one', 'two', 'kept']) await backUp(await fixture.open(), seededSource(seed));
        const kept = await (await fixture.open()).resolve('latest');
        const { signal } = await child(
          fixture,
          'prune',
          '-',
          `${operation % 2 === 0 ? 'before' : 'after'} ${operation}`,
        );
        expect(signal).toBe('SIGKILL');
        await survivors(fixture, new Map([[kept.id, 'kept']]));
        expect(await readBack(await fixture.open(), kept.id)).toEqual(seededSource('kept'));
        const repository = await fixture.open();
        const old = (await repository.snapshots()).slice(0, -1).map(({ id }) => id);
        await repository.forget(old, {});
        await repository.prune({ dryRun: false, graceMs: 0 });
        expect(await repository.prune({ dryRun: true, graceMs: 0 })).toMatchObject({ markedObjects: 0 });
        expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
          ok: true,
          findings: [],
          snapshots: 1,
        });
      }
    },
  );
});

describe('two processes', () => {
  it('that back up at once both end up in the log', { timeout: 60_000 }, async () => {
    await using fixture = await makeRepository();
    const seeds = ['left', 'right', 'middle'];
    const ended = await Promise.all(seeds.map((seed) => child(fixture, 'backup', seed, 'never')));
    const repository = await fixture.open();
    for (const [at, { code, stdout }] of ended.entries()) {
      expect(code).toBe(0);
      expect(await readBack(repository, /^snapshot (.+)$/m.exec(stdout)![1]!)).toEqual(
        seededSource(seeds[at]!),
      );
    }
    expect(await repository.snapshots()).toHaveLength(3);
  });

  it(
    'one of which prunes while the other backs up the same content never leave a snapshot that cannot be read',
    { timeout: 120_000 },
    async () => {
      await using fixture = await makeRepository();
      await backUp(await fixture.open(), seededSource('same'));
      await backUp(await fixture.open(), seededSource('other'));
      for (let round = 0; round < 4; round += 1) {
        const [backup, prune] = await Promise.all([
          child(fixture, 'backup', 'same', 'never'),
          child(fixture, 'prune', '-', 'never'),
        ]);
        expect(prune).toMatchObject({ code: 0, stderr: '' });
        // Refused, and to be run again, is the only way in which it may fail.
        if (backup.code !== 0) expect(backup.stderr).toContain("code: 'locked'");
        const repository = await fixture.open();
        expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
          ok: true,
          findings: [],
        });
        const { entry } = await backUp(repository, seededSource('other'));
        expect(await readBack(repository, entry.id)).toEqual(seededSource('other'));
      }
    },
  );
});
