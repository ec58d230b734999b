import { EXIT, LifeboatError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { CheckFinding, CheckResult, PackSample, Protection } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { packSample } from '../option-values.ts';
import { shortId } from './list.ts';
import { formatTime } from '../terminal.ts';
import { OPENING } from './shared-exits.ts';

interface CheckFlags {
  readonly readData?: true;
  readonly readDataSubset?: Exclude<PackSample, string>;
}

export const checkCommand = defineCommand<CheckFlags>({
  name: 'check',
  job: { name: 'check', exclusive: false },
  summary: 'check that a repository is sound',
  description:
    'Checks the log (chain and signatures), that every object has the bytes its name says, and that nothing that a snapshot needs ' +
    'is missing. Needs no key. `verify` goes on to decrypt, and `drill` to restore.',
  arguments: [],
  options: [
    { flags: '--read-data', description: 'read every pack, not only look that it is there' },
    {
      flags: '--read-data-subset <SUBSET>',
      description:
        'read some packs: n/t, the n-th of t parts that together are all of them; or p% or a size such as 500MiB, chosen at random',
      parse: packSample,
    },
  ],
  examples: [
    { command: 'lifeboat check', meaning: 'Is everything there?' },
    {
      command: 'lifeboat check --read-data-subset 1/7',
      meaning: 'On Mondays; 2/7 on Tuesdays, and so on: a week reads all of the data.',
    },
    { command: 'lifeboat check --read-data-subset 10%', meaning: 'Also read a tenth, chosen at random.' },
  ],
  exits: { ...OPENING, failed: 'something is damaged or missing' },
  run: async ({ options }, { repository, output, signal }) => {
    const readData = sampleOf(options);
    const opened = await repository();
    output.progress({ phase: 'check', message: `checking ${opened.location}` });
    const result = await opened.check({ readData, signal });
    for (const finding of result.findings) {
      output.message('finding', { ...finding });
      output.print(describe(finding));
    }
    const { ok, findings, objects, bytesRead, snapshots, packs, packsRead, protection } = result;
    output.message('summary', {
      command: 'check',
      ok,
      findings: findings.length,
      objects,
      bytes_read: bytesRead,
      snapshots,
      packs: packs.count,
      pack_bytes: packs.bytes,
      packs_read: packsRead.count,
      pack_bytes_read: packsRead.bytes,
      protection: protection ?? null,
    });
    if (protection !== undefined) output.print(describeProtection(protection));
    output.print(conclude(result));
    return ok ? EXIT.ok : EXIT.failed;
  },
});

function sampleOf({ readData, readDataSubset }: CheckFlags): PackSample {
  if (readData === undefined) return readDataSubset ?? 'none';
  if (readDataSubset === undefined) return 'all';
  throw new LifeboatError(
    'usage',
    '--read-data and --read-data-subset are given, which say different things',
    {
      hint: 'Leave one of them out.',
    },
  );
}

function conclude({ ok, findings, objects, snapshots, packs, packsRead }: CheckResult): string {
  const read = `${packsRead.count} of ${packs.count} packs read (${formatBytes(packsRead.bytes)} of ${formatBytes(packs.bytes)})`;
  return `${ok ? 'sound' : 'DAMAGED'}: ${snapshots} snapshots, ${objects} objects, ${read}, ${findings.length} findings`;
}

function describeProtection({ objects, unprotected, earliest, latest }: Protection): string {
  const until =
    earliest === undefined || latest === undefined
      ? 'nothing is protected'
      : `${objects - unprotected} of ${objects} needed objects are protected, until ${formatTime(earliest)} at the earliest and ${formatTime(latest)} at the latest`;
  const rest =
    unprotected === 0 ? '' : `; ${unprotected} can be deleted now: the next backup protects them again`;
  return `Object Lock: ${until}${rest}`;
}

function describe({ severity, object, problem, consequence, snapshots }: CheckFinding): string {
  const needed = snapshots.length === 0 ? '' : `\n  needed by: ${snapshots.map(shortId).join(', ')}`;
  return `${severity}: ${object}: ${problem}\n  ${consequence}${needed}`;
}
