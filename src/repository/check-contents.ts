import { isLifeboatError, LifeboatError, messageOf } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { CheckContext, CheckReport } from './check.ts';
import { readIdKey } from './id-key.ts';
import type { LogState } from './log-state.ts';
import { readRoot, readShard } from './manifest-reader.ts';
import { getSealed } from './objects.ts';
import { readBlob, scanPack } from './pack.ts';
import type { RecordOf } from './record.ts';
import { openDataKey, recoveryKeys } from './recovery-keys.ts';

/** By pack: the blobs that manifests name, each with the offset of its frame, and the snapshots that they are of. */
type Expected = Map<string, { readonly blobs: Map<string, number>; readonly snapshots: Set<string> }>;

/**
 * What only a recovery identity can verify: every blob of the chosen packs decompresses to the content its id says, and every
 * blob that a manifest names is in the pack it names. Bytes that do not have the hash in their name were reported before.
 */
export async function checkContents(
  context: CheckContext,
  state: LogState,
  report: CheckReport,
  wanted: (packKey: string) => boolean,
): Promise<void> {
  const { store, config, log } = context;
  const dataKey = await openDataKey(store, config, recoveryKeys(config, log.entries), context.identities);
  const identities = [dataKey.identity];
  const idKey = await readIdKey(store, config.id_key_object, identities);
  const expected: Expected = new Map();
  for (const record of state.records.values()) {
    await orFinding(report, record.manifest, [record.id], () =>
      collectBlobs(store, identities, record, expected),
    );
  }
  for (const [key, { blobs, snapshots }] of expected) {
    if (!wanted(key)) continue;
    await orFinding(report, key, [...snapshots], async () => {
      const plaintext = await getSealed(store, key, identities);
      const entries = scanPack(plaintext);
      for (const entry of entries) {
        readBlob(plaintext, entry, idKey);
        if (blobs.get(entry.id) === entry.offset) blobs.delete(entry.id);
      }
      const [absent] = blobs.keys();
      if (absent !== undefined)
        throw new LifeboatError(
          'repository-damaged',
          `it does not hold blob ${absent} where a manifest expects it`,
        );
    });
  }
}

async function collectBlobs(
  store: ObjectStore,
  identities: readonly Secret[],
  record: RecordOf<'snapshot'>,
  expected: Expected,
): Promise<void> {
  const expect = (pack: string, blob: string, offset: number): void => {
    const row = expected.get(pack) ?? { blobs: new Map(), snapshots: new Set() };
    expected.set(pack, row);
    row.blobs.set(blob, offset);
    row.snapshots.add(record.id);
  };
  const root = await readRoot(store, record.manifest, record.id, identities);
  for (const [blob, [number, offset]] of Object.entries(root.where))
    expect(root.packs[number] ?? `pack number ${number}`, blob, offset);
  for (const shard of root.shards) {
    for await (const { file, places } of readShard(store, shard, identities)) {
      for (const [at, blob] of file.blobs.entries()) expect(places[at]!.pack, blob, places[at]!.offset);
    }
  }
  for (const { object } of [root.manifest.keys.archive, root.manifest.config.archive])
    await getSealed(store, object, identities);
}

async function orFinding(
  report: CheckReport,
  object: string,
  snapshots: string[],
  task: () => Promise<void>,
): Promise<void> {
  try {
    await task();
  } catch (error) {
    if (!isLifeboatError(error, 'repository-damaged')) throw error;
    if (
      report.findings.some(
        (finding) => finding.object === object || messageOf(error).includes(finding.object),
      )
    )
      return;
    report.findings.push({
      severity: 'error',
      object,
      problem: error.message,
      consequence:
        'these snapshots cannot be restored completely from here: restore the object from a second repository',
      snapshots,
    });
  }
}
