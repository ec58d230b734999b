import { randomInt } from 'node:crypto';
import { collectFindings, noneFound } from '../../restore/findings.ts';
import type { Check } from '../../restore/step.ts';
import type { MediaFile } from '../../repository/manifest.ts';
import type { MediaStrategy } from './strategy.ts';

type Sampled = Pick<MediaFile, 'path' | 'sha256'>;

/** So many of all that are offered, each with the same chance (Vitter's algorithm R). */
export interface Sample {
  offer(file: Sampled): void;
  readonly files: readonly Sampled[];
}

export function createSample(size: number): Sample {
  const files: Sampled[] = [];
  let offered = 0;
  return {
    files,
    offer: ({ path, sha256 }) => {
      offered += 1;
      if (files.length < size) files.push({ path, sha256 });
      else if (size > 0) {
        const place = randomInt(offered);
        if (place < size) files[place] = { path, sha256 };
      }
    },
  };
}

export interface SourceDifferences {
  readonly differing: readonly string[];
  /** Not at the source any more. */
  readonly gone: readonly string[];
}

/** Reads the sampled files at the source, whatever is remembered of them, and hashes them. Errors: those of the source. */
export async function compareWithSource(
  strategy: MediaStrategy,
  { files }: Pick<Sample, 'files'>,
): Promise<SourceDifferences> {
  const paths = files.map(({ path }) => path);
  const hashes = paths.length === 0 ? new Map<string, string>() : await strategy.hashes(paths);
  const [differing, gone]: [string[], string[]] = [[], []];
  for (const { path, sha256 } of files) {
    const now = hashes.get(path);
    if (now === undefined) gone.push(path);
    else if (now !== sha256) differing.push(path);
  }
  return { differing, gone };
}

/** For a snapshot of any age: what its owner has deleted since is no fault of the snapshot. */
export async function checkAgainstSource(
  strategy: MediaStrategy,
  listed: AsyncIterable<MediaFile>,
  size: number,
): Promise<Check> {
  const sample = createSample(size);
  for await (const file of listed) sample.offer(file);
  const { differing, gone } = await compareWithSource(strategy, sample);
  const wrong = collectFindings();
  for (const path of differing) wrong.add(path);
  const since = gone.length === 0 ? '' : `, ${gone.length} of them are not there any more`;
  return noneFound(
    {
      id: 'verify.source',
      title: `${sample.files.length} media files, chosen at random, are as at the source${since}`,
    },
    wrong,
    { unit: 'files differ', advice: 'Media do not change: one of the two is damaged.' },
  );
}
