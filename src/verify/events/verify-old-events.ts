import type { PostgresSession } from '../../database/port.ts';
import type { PublicSigningKey } from '../../repository/manifest.ts';
import { decodeBase64 } from './base64.ts';
import { eventFault, type PublicKeys } from './check-event.ts';
import { asObject } from './json.ts';
import { roomVersion } from './room-versions.ts';

export interface StoredEventsReport {
  /** Events in the database whose sender is a user of this server. */
  readonly total: number;
  readonly checked: number;
  /** Of these, redacted since: where the database has let go of the content, the rest was checked. */
  readonly redacted: number;
  /** Event of an unknown room version, or with numbers that JavaScript cannot hold: nothing can be said about them. */
  readonly unverifiable: number;
  readonly failedCount: number;
  /** The first 1,000. */
  readonly failed: readonly FailedEvent[];
  readonly perSender: ReadonlyMap<string, { checked: number; failed: number }>;
  readonly byRoomVersion: Readonly<Record<string, number>>;
}

export interface FailedEvent {
  readonly eventId: string;
  readonly roomId: string;
  readonly sender: string;
  readonly reason: string;
}

export interface StoredEventsOptions {
  /** Events drawn at random, besides some of every user. Default: all when there are at most 50,000, otherwise 20,000. */
  readonly sample?: number | 'all' | undefined;
  /** At least so many events of every local user. Default 20. */
  readonly perUser?: number | undefined;
}

const ALL_UP_TO = 50_000;
const DEFAULT_SAMPLE = 20_000;
const DEFAULT_PER_USER = 20;
const LONGEST_LIST = 1000;

/** User ids are `@local:server`, and a server name may hold a port: everything behind the first colon. */
const OWN_EVENTS = `from events where substr(sender, strpos(sender, ':') + 1) = $1`;

/**
 * Do the events that our users sent in the past verify under the keys of the backup? Offline, in one pass through the
 * restored database: content hash, event id and signature of each. A server whose old events do not verify is not
 * believed by servers that join a room afresh.
 */
export async function verifyStoredEvents(
  db: PostgresSession,
  serverName: string,
  keys: readonly PublicSigningKey[],
  options: StoredEventsOptions = {},
): Promise<StoredEventsReport> {
  const [counted] = await db.query<{ total: string }>(`select count(*)::text as total ${OWN_EVENTS}`, [
    serverName,
  ]);
  const total = Number(counted?.total ?? 0);
  const sample = options.sample ?? (total <= ALL_UP_TO ? 'all' : DEFAULT_SAMPLE);
  const tally = newTally();
  const publicKeys = publicKeysOf(keys);
  for await (const row of storedEvents(db, serverName, total, sample, options.perUser ?? DEFAULT_PER_USER))
    judge(row, serverName, publicKeys, tally);
  return { total, ...tally };
}

export function publicKeysOf(keys: readonly PublicSigningKey[]): PublicKeys {
  return new Map(
    keys
      .flatMap(({ keyId, publicKey }) => [[keyId, decodeBase64(publicKey)] as const])
      .filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined),
  );
}

interface StoredEvent {
  readonly event_id: string;
  readonly room_id: string;
  readonly sender: string;
  readonly json: string;
  readonly room_version: string;
  readonly redacted: boolean;
  readonly [column: string]: unknown;
}

/** `rooms.room_version` is null in rooms older than room versions, which are of version 1. Outliers and rejected events count as well. */
function storedEvents(
  db: PostgresSession,
  serverName: string,
  total: number,
  sample: number | 'all',
  perUser: number,
): AsyncIterable<StoredEvent> {
  const everything = `select event_id ${OWN_EVENTS}`;
  const drawn = `select event_id from (
      select event_id, random() as luck, row_number() over (partition by sender order by hashtext(event_id)) as place ${OWN_EVENTS}
    ) as own where place <= $2 or luck < $3`;
  const sql = `select e.event_id, e.room_id, e.sender, j.json, coalesce(r.room_version, '1') as room_version,
      exists (select 1 from redactions d where d.redacts = e.event_id) as redacted
    from (${sample === 'all' ? everything : drawn}) as chosen
    join events e on e.event_id = chosen.event_id
    join event_json j on j.event_id = e.event_id
    left join rooms r on r.room_id = e.room_id`;
  return db.stream<StoredEvent>(
    sql,
    sample === 'all' ? [serverName] : [serverName, perUser, sample / Math.max(total, 1)],
  );
}

type Tally = ReturnType<typeof newTally>;

function newTally() {
  return {
    checked: 0,
    redacted: 0,
    unverifiable: 0,
    failedCount: 0,
    failed: [] as FailedEvent[],
    perSender: new Map<string, { checked: number; failed: number }>(),
    byRoomVersion: {} as Record<string, number>,
  };
}

function judge(row: StoredEvent, serverName: string, keys: PublicKeys, tally: Tally): void {
  const verdict = verdictOn(row, serverName, keys);
  tally.byRoomVersion[row.room_version] = (tally.byRoomVersion[row.room_version] ?? 0) + 1;
  if (verdict === 'unverifiable') {
    tally.unverifiable += 1;
    return;
  }
  tally.checked += 1;
  if (row.redacted) tally.redacted += 1;
  const sender = tally.perSender.get(row.sender) ?? { checked: 0, failed: 0 };
  sender.checked += 1;
  tally.perSender.set(row.sender, sender);
  if (verdict === 'sound') return;
  sender.failed += 1;
  tally.failedCount += 1;
  if (tally.failed.length < LONGEST_LIST)
    tally.failed.push({
      eventId: row.event_id,
      roomId: row.room_id,
      sender: row.sender,
      reason: verdict.reason,
    });
}

function verdictOn(
  row: StoredEvent,
  serverName: string,
  keys: PublicKeys,
): 'sound' | 'unverifiable' | { reason: string } {
  const version = roomVersion(row.room_version);
  if (version === undefined) return 'unverifiable';
  const event = parse(row.json);
  if (event === undefined) return { reason: 'its JSON cannot be read' };
  if (event['sender'] !== row.sender)
    return { reason: `its sender is ${String(event['sender'])} in its JSON` };
  try {
    const reason = eventFault(event, version, serverName, keys, {
      eventId: row.event_id,
      mayBeRedacted: row.redacted,
    });
    return reason === undefined
      ? 'sound'
      : mayHoldFloat(row.json, version.strictNumbers)
        ? 'unverifiable'
        : { reason };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return version.strictNumbers ? { reason: error.message } : 'unverifiable';
  }
}

/** `1.0` and `1` are one number in JavaScript and two texts in the hash; rooms before version 6 could hold both. */
function mayHoldFloat(json: string, strictNumbers: boolean): boolean {
  return !strictNumbers && /[:[,]\s*-?\d+[.eE]\d/.test(json);
}

function parse(json: string) {
  try {
    return asObject(JSON.parse(json));
  } catch {
    return undefined;
  }
}
