import type { Clock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import { createMutex } from './mutex.ts';
import { LOG_PREFIX, logKey, logSeq, sha256Hex } from './object-names.ts';
import {
  damagedRecord,
  decodeRecord,
  encodeRecord,
  FIRST_PREVIOUS,
  type LogEntry,
  type RecordDraft,
  type RecordPlace,
  type Signer,
} from './record.ts';
import { readSavedHead, writeSavedHead, type SavedHead } from './saved-head.ts';

/** The commit log: what it says is what the repository holds. Order is the sequence number, never time. */
export interface CommitLog {
  /** Verified so far, oldest first. */
  readonly entries: readonly LogEntry[];
  /**
   * Reads and verifies what is new, and compares with the saved head.
   * Errors: `repository-damaged`, `repository-rolled-back`.
   */
  refresh(): Promise<void>;
  /**
   * Compare and swap: creates record n+1 after everything up to n was read. `guard` runs before every attempt, when `entries`
   * holds all n records, and throws when one of them forbids what the caller is about to say.
   * Errors: `repository-version` (a record of a type this version does not know), and those of `refresh`.
   */
  append(draft: RecordDraft, signer: Signer, guard?: () => void): Promise<LogEntry>;
  /** Asked before work is done that could not be committed. Errors: `repository-version`. */
  requireWritable(): void;
  /** Remembers the head on this machine. Errors: `disk-full`, `file-unwritable`. */
  saveHead(): Promise<void>;
}

export interface LogOptions {
  readonly store: ObjectStore;
  readonly repositoryId: string;
  readonly configSha256: string;
  readonly publicKeys: RecordPlace['publicKeys'];
  readonly savedHeadPath: string;
  readonly clock: Clock;
}

export function openLog(options: LogOptions): CommitLog {
  const { store } = options;
  const entries: LogEntry[] = [];
  /** A backup and the evidence of a drill may write at once: each must see the other's record whole. */
  const oneAtATime = createMutex();

  const nextPlace = (): RecordPlace => ({
    repositoryId: options.repositoryId,
    configSha256: options.configSha256,
    seq: entries.length + 1,
    previousSha256: entries.at(-1)?.sha256 ?? FIRST_PREVIOUS,
    publicKeys: options.publicKeys,
  });

  const readNew = async (): Promise<void> => {
    const stored = await storedTimes(store);
    const newest = stored.keys().reduce((most, seq) => Math.max(most, seq), 0);
    for (;;) {
      const place = nextPlace();
      // Beyond the listing too: one that lags behind must not hide the newest record.
      const bytes = await readRecord(store, place.seq, newest);
      if (bytes === undefined) return;
      const entry = decodeRecord(bytes, place);
      const storedAt = stored.get(place.seq) ?? (await store.stat(logKey(place.seq)))?.modified;
      entries.push(storedAt === undefined ? entry : { ...entry, storedAt });
    }
  };

  const refresh = async (): Promise<void> => {
    // Read before the log: what another process commits and remembers meanwhile must not look like a record that is gone.
    const saved = await readSavedHead(options.savedHeadPath);
    await readNew();
    if (saved !== undefined) compareWithSavedHead(options, entries, saved);
    if (entries.length === 0)
      throw damagedRecord(1, 'it is missing, so `lifeboat init` was interrupted or the log was removed');
  };

  const saveHead = async (): Promise<void> => {
    const head = entries.at(-1);
    if (head === undefined) return;
    const saved = await readSavedHead(options.savedHeadPath);
    if (saved !== undefined && saved.seq >= head.seq) return;
    await writeSavedHead(options.savedHeadPath, {
      config_sha256: options.configSha256,
      seq: head.seq,
      sha256: head.sha256,
    });
  };

  const append: CommitLog['append'] = async (draft, signer, guard = () => {}) => {
    for (;;) {
      refuseUnknownTypes(entries);
      guard();
      const place = nextPlace();
      const bytes = encodeRecord(draft, place, signer, options.clock.now());
      await store.put(logKey(place.seq), bytes);
      await readNew();
      const winner = entries[place.seq - 1];
      // Our own bytes, also when `put` said `exists`: then an earlier try went through and only its answer was lost.
      if (winner?.sha256 === sha256Hex(bytes)) {
        // The record is durable; a state directory that is full now is reported by the next run's saveHead.
        await saveHead().catch(() => {});
        return winner;
      }
    }
  };

  return {
    entries,
    requireWritable: () => refuseUnknownTypes(entries),
    refresh: () => oneAtATime(refresh),
    saveHead: () => oneAtATime(saveHead),
    append: (draft, signer, guard) => oneAtATime(() => append(draft, signer, guard)),
  };
}

/** Sequence number -> when it was stored. */
async function storedTimes(store: ObjectStore): Promise<ReadonlyMap<number, Date>> {
  const times = new Map<number, Date>();
  for await (const { key, modified } of store.list(LOG_PREFIX)) {
    const seq = logSeq(key);
    if (seq !== undefined) times.set(seq, modified);
  }
  return times;
}

/** Undefined behind the newest one. */
async function readRecord(store: ObjectStore, seq: number, newest: number): Promise<Uint8Array | undefined> {
  try {
    return await store.get(logKey(seq));
  } catch (error) {
    if (!isLifeboatError(error, 'object-missing')) throw error;
    if (seq > newest) return undefined;
    throw damagedRecord(seq, `it is missing although record ${newest} is there`);
  }
}

function compareWithSavedHead(options: LogOptions, entries: readonly LogEntry[], saved: SavedHead): void {
  const sameConfig = saved.config_sha256 === options.configSha256;
  if (sameConfig && (saved.seq === 0 || entries[saved.seq - 1]?.sha256 === saved.sha256)) return;
  const what = sameConfig
    ? `its log ends at record ${entries.length} or differs, but this machine has seen record ${saved.seq}`
    : 'its lifeboat.json is not the one this machine has seen';
  throw new LifeboatError(
    'repository-rolled-back',
    `repository ${options.store.location} was rolled back, cut or replaced: ${what}`,
    {
      hint: [
        'Find out who replaced the repository before trusting it.',
        `If you put an older copy back on purpose, remove ${options.savedHeadPath}.`,
      ],
      context: { seen: saved.seq, found: entries.length },
    },
  );
}

function refuseUnknownTypes(entries: readonly LogEntry[]): void {
  const unknown = entries.find(({ body }) => body === undefined);
  if (unknown === undefined) return;
  throw new LifeboatError(
    'repository-version',
    `log record ${logKey(unknown.seq)} has the type '${unknown.type}', which this version does not know`,
    {
      hint: 'Use the newer lifeboat that wrote it; this version can only read here.',
      context: { seq: unknown.seq },
    },
  );
}
