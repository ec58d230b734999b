import { EXIT, LifeboatError } from '../../core/errors.ts';
import { describeCopy, hintsOf, updateCopies, type CopyOutcome } from '../../jobs/copies.ts';
import { defineCommand } from '../definition.ts';
import type { Output } from '../output.ts';
import { OPENING } from './shared-exits.ts';

export const copyCommand = defineCommand({
  name: 'copy',
  job: { name: 'copy', exclusive: true },
  summary: 'bring the copies of a repository up to date',
  description:
    'Copies to every place under repository.copies of lifeboat.yaml what the repository has and the copy has not, and removes there what ' +
    'prune has removed here. `backup` and `prune` do the same in the end; this goes on where one of them failed. Needs no key. Read ' +
    'from a copy with --copy NAME.',
  arguments: [],
  options: [],
  examples: [
    { command: 'lifeboat copy', meaning: 'After a copy could not be reached.' },
    { command: 'lifeboat copy --quiet', meaning: 'Every hour, where a copy is often out of reach.' },
  ],
  exits: { ...OPENING, omissions: 'some copies are not up to date' },
  run: async (_input, { config, output, signal }) => {
    const { repository } = await config();
    if (repository.copies.length === 0) {
      throw new LifeboatError('usage', 'lifeboat.yaml names no copies', {
        hint: 'Add repository.copies: docs/stores.md has examples.',
      });
    }
    const outcomes = await updateCopies({ repository, progress: output.progress, signal });
    reportCopies(outcomes, output);
    const failed = outcomes.filter(({ result }) => result === undefined).length;
    output.message('summary', { command: 'copy', copies: outcomes.length, failed });
    return failed === 0 ? EXIT.ok : EXIT.omissions;
  },
});

/** A line for each copy; those that failed as warnings. */
export function reportCopies(outcomes: readonly CopyOutcome[], output: Output): void {
  for (const outcome of outcomes) {
    const { name, location, result } = outcome;
    output.message('copy', {
      name,
      location,
      ok: result !== undefined,
      copied_objects: result?.copiedObjects ?? 0,
      copied_bytes: result?.copiedBytes ?? 0,
      deleted_objects: result?.deletedObjects ?? 0,
      kept_objects: result?.keptObjects ?? 0,
    });
    if (result === undefined) output.warn([describeCopy(outcome), ...hintsOf(outcome)].join('\nhint: '));
    else output.print(describeCopy(outcome));
  }
}
