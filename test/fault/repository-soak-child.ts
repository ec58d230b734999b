/**
 * A machine of its own, with a clock of its own, that works on a repository until it is done or killed.
 *   node repository-soak-child.ts DIRECTORY ROOT NAME backup|prune CLOCK_OFFSET_HOURS ROUNDS
 * Prints `ready`, `committed ID SEED`, `forgetting ID`, and `refused CODE` for what another machine's work may cause.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, type Clock } from '../../src/core/clock.ts';
import { isLifeboatError } from '../../src/core/errors.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import { backUp, openOptions, seededSource } from '../repository/fixture.ts';

const [directory, root, name, mode, hours, rounds] = process.argv.slice(2) as [
  string,
  string,
  string,
  'backup' | 'prune',
  string,
  string,
];
const HOUR_MS = 3_600_000;
/** Contents are few, so that everybody leans on what everybody else has stored. */
const SEEDS = 4;
const KEPT = 3;
const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + Number(hours) * HOUR_MS) };
const options = { ...openOptions(directory), stateDirectory: join(directory, `state of ${name}`), clock };
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function backUpOnce(): Promise<void> {
  const repository = await openRepository(await openLocalStore(root), options);
  const seed = `content ${randomInt(SEEDS)}`;
  const { entry } = await backUp(repository, seededSource(seed), () => sleep(randomInt(60)));
  say(`committed ${entry.id} ${seed}`);
}

/** Half of the prunes think that they give a running backup its time. */
async function pruneOnce(): Promise<void> {
  const repository = await openRepository(await openLocalStore(root), options);
  // On a busy machine the others may not have come so far yet.
  for (let tries = 0; tries < 60 && (await repository.snapshots()).length <= KEPT; tries += 1)
    await sleep(50);
  for (const { id } of (await repository.snapshots()).slice(0, -KEPT)) {
    say(`forgetting ${id}`);
    await repository.forget([id], {});
  }
  await repository.prune({ dryRun: false, graceMs: randomInt(2) * 24 * HOUR_MS });
}

say('ready');
for (let round = 0; round < Number(rounds); round += 1) {
  try {
    await (mode === 'backup' ? backUpOnce() : pruneOnce());
  } catch (error) {
    // A mark came between; or another one has forgotten it first.
    if (!isLifeboatError(error, 'locked') && !isLifeboatError(error, 'snapshot-missing')) throw error;
    say(`refused ${error.code}`);
  }
}
