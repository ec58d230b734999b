import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { isAlive, parseOwner, thisProcess, type LockOwner } from './lock-owner.ts';
import { stateName } from './state-name.ts';

/**
 * One run of a job at a time, for each repository and lifeboat.yaml of this machine. It saves work and load, not data: the
 * repository's log is safe with any number of writers. A lock whose process has ended, also by kill -9 or with the machine,
 * is taken over. Of one of another machine or container (a state directory that is shared) nobody here can know: it counts
 * until its holder has not touched it for an hour.
 */
export interface RunLock {
  /** The owner that had ended without a word, if there was one. */
  readonly tookOverFrom: LockOwner | undefined;
  release(): Promise<void>;
}

export interface LockOptions {
  readonly stateDirectory: string;
  /** `backup`, `prune` ... */
  readonly job: string;
  readonly runId: string;
  readonly repositoryId: string;
  /** Path of lifeboat.yaml: other homeservers of this machine may share the repository. */
  readonly configFile: string;
  readonly clock: Clock;
}

export interface FoundLock {
  readonly file: string;
  /** Undefined when the file cannot be understood. */
  readonly owner: LockOwner | undefined;
  readonly alive: 'yes' | 'no' | 'unknown';
}

const SUFFIX = '.lock';
/** A lock that goes away just when it is looked at is tried again; somebody who does that for ever is not us. */
const TRIES = 20;
/** How often a holder touches its lock, and how long it may not have done so before nobody is taken to hold it. */
const BEAT_MS = 5 * 60_000;
const SILENT_MS = 60 * 60_000;
/** Between having a claim and renaming it lie two system calls. */
const CLAIM_MS = 20;

/** Errors: `locked` with owner and age; `file-unwritable`. */
export async function acquireLock(options: LockOptions): Promise<RunLock> {
  const directory = locksDirectory(options.stateDirectory);
  const file = join(directory, lockName(options));
  const owner = await thisProcess(options.job, options.runId, options.clock.now());
  const text = `${JSON.stringify(owner)}\n`;
  const hold = (tookOverFrom: LockOwner | undefined): RunLock => {
    const beat = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => undefined), BEAT_MS);
    beat.unref();
    const release = async (): Promise<void> => {
      clearInterval(beat);
      await removeIf(file, text);
    };
    return { tookOverFrom, release };
  };
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (await createExclusively(file, text)) return hold(undefined);
      const found = await readLock(file);
      if (found === undefined) continue;
      if (found.alive !== 'no') throw held(options, found);
      if (await takeOver(file, found.text, text)) return hold(found.owner);
    }
  } catch (error) {
    if (error instanceof LifeboatError) throw error;
    throw new LifeboatError('file-unwritable', `cannot write the lock ${file}: ${messageOf(error)}`, {
      hint: 'Let the user that runs lifeboat write into repository.state_directory.',
      cause: error,
    });
  }
  throw new LifeboatError('locked', `the lock ${file} comes and goes: other runs are starting`, {
    hint: 'Run one at a time.',
  });
}

/** All locks of a state directory, in the order of their names. */
export async function listLocks(stateDirectory: string): Promise<FoundLock[]> {
  const directory = locksDirectory(stateDirectory);
  const names = await readdir(directory).catch(ifMissing<string[]>([]));
  const found: FoundLock[] = [];
  for (const name of names.filter((each) => each.endsWith(SUFFIX)).toSorted()) {
    const lock = await readLock(join(directory, name));
    if (lock !== undefined) found.push(lock);
  }
  return found;
}

/** Whatever its owner does. False when it was gone, or had become another's meanwhile. */
export async function removeLock(lock: FoundLock): Promise<boolean> {
  const now = await readLock(lock.file);
  if (now === undefined || JSON.stringify(now.owner) !== JSON.stringify(lock.owner)) return false;
  return removeIf(lock.file, now.text);
}

/** `backup of example.com's ... since 2026-11-25T02:00:00Z (1 h), process 12 of root on host` */
export function describeOwner(owner: LockOwner | undefined, now: Date): string {
  if (owner === undefined) return 'an unreadable lock';
  const age = formatDuration(Math.max(0, now.getTime() - Date.parse(owner.started_at)));
  return `${owner.job} ${owner.run_id} since ${owner.started_at} (${age}), process ${owner.pid} of ${owner.user} on ${owner.hostname}`;
}

function locksDirectory(stateDirectory: string): string {
  return join(stateDirectory, 'locks');
}

function lockName({ job, repositoryId, configFile }: LockOptions): string {
  return `${stateName(repositoryId, configFile)}-${job}${SUFFIX}`;
}

function held({ clock, job }: LockOptions, { file, owner, alive }: FoundLock): LifeboatError {
  return new LifeboatError('locked', `another ${job} is running: ${describeOwner(owner, clock.now())}`, {
    hint:
      alive === 'yes'
        ? 'Wait for its end, or stop that process.'
        : 'If it has surely ended (another machine or container wrote the lock): lifeboat unlock --force',
    context: {
      file,
      alive,
      ...(owner === undefined ? {} : { pid: owner.pid, started_at: owner.started_at }),
    },
  });
}

/** Whole or not at all: the name appears when the content is on the disk. False when somebody has it. */
async function createExclusively(file: string, text: string): Promise<boolean> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await unlink(temporary);
  }
}

async function readLock(file: string): Promise<(FoundLock & { readonly text: string }) | undefined> {
  const text = await readFile(file, 'utf8').catch(ifMissing(undefined));
  if (text === undefined) return undefined;
  const owner = parseOwner(text);
  const alive = owner === undefined ? 'unknown' : await isAlive(owner);
  if (alive !== 'unknown') return { file, text, owner, alive };
  const touched = await stat(file).then(({ mtimeMs }) => mtimeMs, ifMissing(0));
  return { file, text, owner, alive: Date.now() - touched > SILENT_MS ? 'no' : 'unknown' };
}

/**
 * Puts our lock in the place of one whose owner has ended. Many may try that at once: a claim, which is named after the dead
 * lock and can be had by one only, is renamed over it, and only while it is still that lock.
 */
async function takeOver(file: string, deadText: string, text: string): Promise<boolean> {
  const claim = `${file}.${createHash('sha256').update(deadText).digest('hex').slice(0, 12)}`;
  if (!(await createExclusively(claim, text))) {
    const claimant = await readLock(claim);
    if (claimant?.alive === 'no') await removeIf(claim, claimant.text);
    else await sleep(CLAIM_MS);
    return false;
  }
  const still = await readFile(file, 'utf8').catch(ifMissing(undefined));
  if (still === deadText) await rename(claim, file);
  else await unlink(claim);
  return still === deadText;
}

async function removeIf(file: string, text: string): Promise<boolean> {
  if ((await readFile(file, 'utf8').catch(ifMissing(undefined))) !== text) return false;
  return unlink(file).then(() => true, ifMissing(false));
}

function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return value;
    throw error;
  };
}
