import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { RepairIndexResult } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const repairIndexCommand = defineCommand<{ apply?: true }>({
  name: 'repair index',
  summary: 'describe again the packs that no index describes',
  description:
    'A lost or damaged index loses no snapshot, but the next backup stores again what it described. This reads the packs that no readable ' +
    'index describes, one by one, and writes an index of them. Needs a recovery identity (--identity). Nothing is removed. Without --apply ' +
    'it only says what it would read. Back up afterwards: an index that no snapshot has used yet goes with a `prune` a day later.',
  arguments: [],
  options: [{ flags: '--apply', description: 'read the packs, and write the index' }],
  examples: [
    { command: 'lifeboat repair index --identity FILE', meaning: 'Is a part of the index missing?' },
    {
      command: 'lifeboat repair index --identity FILE --apply && lifeboat backup',
      meaning: 'Make it anew, and use it.',
    },
  ],
  exits: { ...OPENING_WITH_KEY, failed: 'some packs are damaged, and were left out; or it failed' },
  run: async ({ options }, { repository, output, signal }) => {
    const opened = await repository();
    const dryRun = options.apply !== true;
    output.progress({ phase: 'repair', message: `reading the index of ${opened.location}` });
    const onProgress = (done: number, total: number) =>
      output.progress({ phase: 'repair', message: 'reading packs', done, total });
    const result = await opened.repairIndex({ dryRun, onProgress, signal });
    for (const { key, problem } of [...result.damagedSegments, ...result.damagedPacks]) {
      output.message('finding', { severity: 'error', object: key, problem });
      output.print(`error: ${key}: ${problem}`);
    }
    output.message('summary', {
      command: 'repair index',
      dry_run: dryRun,
      packs: result.packs,
      undescribed_packs: result.undescribedPacks,
      undescribed_bytes: result.undescribedBytes,
      damaged_segments: result.damagedSegments.length,
      damaged_packs: result.damagedPacks.length,
      new_segments: result.newSegments,
    });
    output.print(conclude(result, dryRun));
    return result.damagedPacks.length === 0 ? EXIT.ok : EXIT.failed;
  },
});

function conclude(result: RepairIndexResult, dryRun: boolean): string {
  const { packs, undescribedPacks, undescribedBytes, damagedPacks, newSegments } = result;
  const lacking = `${undescribedPacks} of ${packs} packs (${formatBytes(undescribedBytes)}) are in no readable index`;
  if (dryRun) return undescribedPacks === 0 ? lacking : `${lacking}; --apply reads and describes them`;
  const left = damagedPacks.length === 0 ? '' : `, ${damagedPacks.length} are damaged and were left out`;
  return `${lacking}: ${undescribedPacks - damagedPacks.length} are described now, in ${newSegments} new index segments${left}`;
}
