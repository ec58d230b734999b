import type { PostgresSession } from '../../database/port.ts';
import type { Homeserver } from '../../homeserver/port.ts';
import { comparePaths } from '../../media/walk.ts';
import { compareWithSource, createSample } from './sample.ts';
import type { MediaOutcome, MediaRun, MediaStrategy } from './strategy.ts';

export interface Agreeing {
  readonly kind: Homeserver;
  readonly session: PostgresSession;
  readonly serverName: string;
  /** So many files of the snapshot are read again at the source. */
  readonly sample: number;
}

/** What clients call media that the database and the files do not agree about: `mxc://server/id`. */
export interface Agreement {
  /** Rows without file, also those of which the snapshot has what was stored before. */
  readonly missing: readonly string[];
  /** Files without row. */
  readonly orphans: readonly string[];
}

/** Whatever the strategy: names the disagreements of database and media, and compares a sample with the source. */
export async function backUpAgreed(
  strategy: MediaStrategy,
  run: MediaRun,
  { kind, session, serverName, sample: size }: Agreeing,
): Promise<MediaOutcome & { readonly agreement: Agreement }> {
  const sample = createSample(size);
  const writer: MediaRun['writer'] = {
    ...run.writer,
    addMedia: async (file) => {
      sample.offer(file);
      await run.writer.addMedia(file);
    },
  };
  const outcome = await strategy.backUp({ ...run, writer });
  const { component, gone: kept = [] } = outcome;
  const missing = [...component.missing, ...kept].toSorted(comparePaths);
  const [missingUris, orphanUris] = [
    await kind.mediaUris(session, serverName, missing),
    await kind.mediaUris(session, serverName, component.orphans),
  ];
  const { differing, gone } = await compareWithSource(strategy, sample);
  const of = `of ${sample.files.length} media files read again`;
  return {
    component: { ...component, missingUris, orphanUris },
    agreement: { missing: missingUris, orphans: orphanUris },
    omissions: [
      ...outcome.omissions,
      ...(differing.length === 0
        ? []
        : [`${differing.length} ${of} differ from the source: ${differing.join(', ')}`]),
      ...(gone.length === 0 ? [] : [`${gone.length} ${of} are gone from the source: ${gone.join(', ')}`]),
    ],
    warnings: outcome.warnings,
    ...(outcome.requireKept && { requireKept: outcome.requireKept }),
  };
}
