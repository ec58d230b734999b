import { resolvePlace, type StorePlace } from '../../config/index.ts';
import { EXIT } from '../../core/errors.ts';
import { openForProbe } from '../../storage/open.ts';
import { probe, type ProbeFinding } from '../../storage/probe/probe.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';
import { table } from '../terminal.ts';

export const storageProbeCommand = defineCommand({
  name: 'storage probe',
  summary: 'try out whether a place can hold a repository',
  description:
    'Tries at a directory, a bucket or an SFTP server what backups will rely on: that objects are created once and never replaced, also by ' +
    'sixteen writers at once, that they are found and listed as soon as they are written, ranges, deletes, checksums, Object Lock, and the ' +
    'clock. Writes about 1,100 small objects below a random prefix, 3 MB in all, and removes them again. The place is PLACE, or the repository of ' +
    'lifeboat.yaml; a repository that is there is neither read nor touched.',
  arguments: [{ name: '[PLACE]', description: 'directory, s3:... or sftp:..., as --repository takes it' }],
  options: [],
  examples: [
    {
      command: 'lifeboat storage probe s3:https://s3.example.com/bucket',
      meaning: 'Before `lifeboat init`: will it do?',
    },
    {
      command: 'lifeboat storage probe --config /etc/lifeboat/lifeboat.yaml',
      meaning: 'With the credentials of backups.',
    },
  ],
  exits: {
    failed: 'lifeboat cannot keep its promises there; or it failed',
    softFail: EXIT_MEANING.softFail,
    preflightRefused: 'the place refuses these credentials, or to write at all',
    noRepository: 'there is no such bucket',
  },
  run: async ({ arguments: [given] }, context) => {
    const { output, signal } = context;
    const place = await placeOf(given, context);
    const [store, another] = [await openForProbe(place), await openForProbe(place)];
    const onCase = (title: string) => output.progress({ phase: 'probe', message: `trying ${title}` });
    const lockDays = place.s3?.objectLock?.days;
    const { location, findings, left, prefix } = await probe(store, another, { lockDays, signal, onCase });
    for (const finding of findings) output.message('finding', { ...finding });
    const failed = findings.filter(({ result }) => result === 'failed').length;
    const works = failed === 0;
    output.message('summary', { command: 'storage probe', location, ok: works, failed, left, prefix });
    output.print(table([['RESULT', 'WHAT', 'SEEN', 'MEANS'], ...findings.map(row)]));
    if (left > 0)
      output.warn(
        `${left} objects of the probe could not be removed from ${location}: delete what lies below ${prefix}`,
      );
    output.print(
      works
        ? `${location} can hold a repository`
        : `${location} CANNOT hold a repository: ${failed} of what it needs is not there`,
    );
    return works ? EXIT.ok : EXIT.failed;
  },
});

async function placeOf(
  given: string | undefined,
  { configIfAny, place }: CommandContext,
): Promise<StorePlace> {
  if (given === undefined) return await place();
  return { ...(await configIfAny())?.repository, path: resolvePlace('.', given) };
}

const WORD: Readonly<Record<ProbeFinding['result'], string>> = {
  ok: 'ok',
  failed: 'FAILED',
  absent: 'not there',
  unknown: 'unknown',
};

function row({ result, title, observed, meaning }: ProbeFinding): string[] {
  return [WORD[result], title, observed, meaning];
}
