import { join } from 'node:path';
import type { Config, CopyPlace } from '../config/index.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import type { Progress } from '../observe/index.ts';
import type { Repository } from '../repository/port.ts';
import { replicate, type ReplicateResult } from '../repository/index.ts';
import { openStore } from '../storage/open.ts';

export interface CopiesOptions {
  readonly repository: Config['repository'];
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

export interface CopyOutcome {
  readonly name: string;
  readonly location: string;
  readonly result: ReplicateResult | undefined;
  /** Why this copy is not up to date. */
  readonly error: unknown;
}

/** Brings every copy up to date, one after the other; one that fails does not keep the others from it. Errors: `interrupted`. */
export async function updateCopies(options: CopiesOptions): Promise<readonly CopyOutcome[]> {
  const outcomes: CopyOutcome[] = [];
  for (const copy of options.repository.copies) outcomes.push(await updateCopy(copy, options));
  return outcomes;
}

async function updateCopy(copy: CopyPlace, options: CopiesOptions): Promise<CopyOutcome> {
  const { repository, progress, signal } = options;
  const about = { name: copy.name, location: copy.path };
  progress({ phase: 'copy', message: `bringing copy ${copy.name} up to date` });
  try {
    const [source, target] = await Promise.all([openStore(repository), openStore(copy)]);
    const onProgress = (done: number, total: number) =>
      progress({ phase: 'copy', message: `copy ${copy.name}`, done, total });
    return { ...about, result: await replicate(source, target, { signal, onProgress }), error: undefined };
  } catch (error) {
    if (signal?.aborted === true)
      throw new LifeboatError('interrupted', `interrupted while copy ${copy.name} was brought up to date`, {
        hint: 'The snapshot is in the repository; `lifeboat copy` goes on.',
        cause: error,
      });
    return { ...about, result: undefined, error };
  }
}

/** One line for people. */
export function describeCopy({ name, result, error }: CopyOutcome): string {
  if (result === undefined) return `copy ${name} is not up to date: ${messageOf(error)}`;
  const { copiedObjects, copiedBytes, deletedObjects, keptObjects } = result;
  const parts = [`${copiedObjects} objects, ${formatBytes(copiedBytes)} copied`];
  if (deletedObjects > 0) parts.push(`${deletedObjects} pruned`);
  if (keptObjects > 0) parts.push(`${keptObjects} that prune removed here are still protected there`);
  return `copy ${name}: ${parts.join(', ')}`;
}

/** What to do about a copy that failed. */
export function hintsOf({ error }: CopyOutcome): readonly string[] {
  return isLifeboatError(error) ? error.hints : [];
}

/**
 * The place of a copy, to read from it: its state is remembered apart, because a copy may lag behind.
 * Errors: `usage` when no copy is called so.
 */
export function copyPlace(repository: Config['repository'], name: string): Config['repository'] {
  const copy = repository.copies.find((candidate) => candidate.name === name);
  if (copy === undefined) {
    const names = repository.copies.map((candidate) => candidate.name);
    throw new LifeboatError('usage', `there is no copy called ${name}`, {
      hint:
        names.length === 0
          ? 'Name one in lifeboat.yaml under repository.copies.'
          : `Choose one of ${names.join(', ')}.`,
    });
  }
  return {
    ...repository,
    ...copy,
    copies: [],
    stateDirectory: join(repository.stateDirectory, 'copies', name),
  };
}

/** What is written to a copy would make it another repository. Errors of everything that writes: `usage`. */
export function onlyReadable(repository: Repository, name: string): Repository {
  const refuse = () =>
    Promise.reject(
      new LifeboatError('usage', `${name} is a copy, and only read`, {
        hint: 'Leave out --copy: what changes the repository is copied by `lifeboat copy`.',
      }),
    );
  return {
    ...repository,
    startBackup: refuse,
    forget: refuse,
    pin: refuse,
    prune: (options) => (options.dryRun ? repository.prune(options) : refuse()),
    repairIndex: (options) => (options.dryRun ? repository.repairIndex(options) : refuse()),
    recordEvidence: refuse,
    addRecipients: refuse,
    removeRecipients: refuse,
  };
}
