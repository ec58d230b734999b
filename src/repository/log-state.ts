import { LifeboatError } from '../core/errors.ts';
import type { SnapshotEntry } from './port.ts';
import type { LogEntry, RecordOf } from './record.ts';

/** What the records add up to. Pure. */
export interface LogState {
  /** Oldest first, without the forgotten ones. */
  readonly snapshots: readonly SnapshotEntry[];
  /** The snapshot records of the same, for their manifests and refs. */
  readonly records: ReadonlyMap<string, RecordOf<'snapshot'>>;
  /** Marks whose objects may not all be deleted yet: sequence number -> objects. */
  readonly openMarks: ReadonlyMap<number, readonly string[]>;
}

export function stateOf(entries: readonly LogEntry[]): LogState {
  const records = new Map<string, RecordOf<'snapshot'>>();
  const storedAt = new Map<string, Date>();
  const provenByAdmin = new Set<string>();
  const pinned = new Set<string>();
  const drills = new Map<string, NonNullable<SnapshotEntry['drill']>>();
  const openMarks = new Map<number, readonly string[]>();

  for (const { body, storedAt: stored } of entries) {
    switch (body?.type) {
      case 'snapshot':
        records.set(body.id, body);
        if (stored !== undefined) storedAt.set(body.id, stored);
        break;
      case 'forget':
        for (const { id } of body.snapshots) records.delete(id);
        break;
      case 'pin':
        if (body.pinned) pinned.add(body.snapshot);
        else pinned.delete(body.snapshot);
        break;
      case 'drill':
        drills.set(body.snapshot, { time: new Date(body.time), result: body.result });
        // What the admin key has said, only the admin key takes back.
        if (body.signer === 'admin' && body.result === 'PASS') provenByAdmin.add(body.snapshot);
        if (body.signer === 'admin' && body.result === 'FAIL') provenByAdmin.delete(body.snapshot);
        break;
      case 'mark':
        openMarks.set(body.seq, body.objects);
        break;
      case 'done':
        openMarks.delete(body.mark);
        break;
      default:
        break;
    }
  }
  const snapshots = [...records.values()].map((record) => ({
    ...snapshotEntry(record, pinned.has(record.id), drills.get(record.id)),
    storedAt: storedAt.get(record.id),
    provenByAdmin: provenByAdmin.has(record.id),
  }));
  return { snapshots, records, openMarks };
}

export function snapshotEntry(
  record: RecordOf<'snapshot'>,
  pinned: boolean,
  drill: SnapshotEntry['drill'],
): SnapshotEntry {
  return {
    id: record.id,
    seq: record.seq,
    time: new Date(record.time),
    hostname: record.hostname,
    serverName: record.server_name,
    files: record.files,
    bytes: record.bytes,
    newBytes: record.new_bytes,
    pinned,
    drill,
    tags: record.tags,
    storedAt: undefined,
    provenByAdmin: false,
  };
}

/** `latest`, `latest-proven`, a full id, or an unambiguous prefix of at least 4 digits. Errors: `snapshot-missing`. */
export function resolveSnapshot(snapshots: readonly SnapshotEntry[], name: string): SnapshotEntry {
  const candidates = candidatesFor(snapshots, name);
  if (candidates.length === 1) return candidates[0]!;
  const problem =
    candidates.length === 0
      ? `there is no snapshot ${name}`
      : `${name} is the beginning of ${candidates.length} snapshots`;
  throw new LifeboatError('snapshot-missing', problem, {
    hint:
      snapshots.length === 0 ? 'Run `lifeboat backup` first.' : 'Run `lifeboat list` to see the snapshots.',
    context: { snapshot: name },
  });
}

const SHORTEST_PREFIX = 4;

function candidatesFor(snapshots: readonly SnapshotEntry[], name: string): readonly SnapshotEntry[] {
  if (name === 'latest') return snapshots.slice(-1);
  if (name === 'latest-proven') return snapshots.filter(({ drill }) => drill?.result === 'PASS').slice(-1);
  return name.length < SHORTEST_PREFIX ? [] : snapshots.filter(({ id }) => id.startsWith(name));
}
