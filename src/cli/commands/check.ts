import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { CheckFinding } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { share } from '../option-values.ts';
import { shortId } from './list.ts';
import { OPENING } from './shared-exits.ts';

export const checkCommand = defineCommand<{ readData?: true; readDataSubset?: number }>({
  name: 'check',
  summary: 'check that a repository is sound',
  description:
    'Checks the log (chain and signatures), that every object has the bytes its name says, and that nothing that a snapshot needs ' +
    'is missing. Needs no key. `verify` goes on to decrypt, and `drill` to restore.',
  arguments: [],
  options: [
    { flags: '--read-data', description: 'read every pack, not only look that it is there' },
    {
      flags: '--read-data-subset <PERCENT>',
      description: 'read this share of the packs, chosen at random',
      parse: share,
    },
  ],
  examples: [
    { command: 'lifeboat check', meaning: 'Is everything there?' },
    { command: 'lifeboat check --read-data-subset 10%', meaning: 'Nightly: also read a tenth of the data.' },
  ],
  exits: { ...OPENING, failed: 'something is damaged or missing' },
  run: async ({ options }, { repository, output }) => {
    const opened = await repository();
    output.progress({ phase: 'check', message: `checking ${opened.location}` });
    const readData = options.readData === true ? 'all' : (options.readDataSubset ?? 'none');
    const { ok, findings, objects, bytesRead, snapshots } = await opened.check({ readData });
    for (const finding of findings) {
      output.message('finding', { ...finding });
      output.print(describe(finding));
    }
    output.message('summary', {
      command: 'check',
      ok,
      findings: findings.length,
      objects,
      bytes_read: bytesRead,
      snapshots,
    });
    output.print(
      `${ok ? 'sound' : 'DAMAGED'}: ${snapshots} snapshots, ${objects} objects, ${formatBytes(bytesRead)} read, ${findings.length} findings`,
    );
    return ok ? EXIT.ok : EXIT.failed;
  },
});

function describe({ severity, object, problem, consequence, snapshots }: CheckFinding): string {
  const needed = snapshots.length === 0 ? '' : `\n  needed by: ${snapshots.map(shortId).join(', ')}`;
  return `${severity}: ${object}: ${problem}\n  ${consequence}${needed}`;
}
