import { tableDigest } from '../../database/index.ts';
import type { PostgresSession } from '../../database/port.ts';
import { LifeboatError } from '../../core/errors.ts';
import type { KindFacts } from '../port.ts';
import { hasColumn, readSchema, type Schema } from './schema.ts';

/** An empty database is what Synapse starts on happily, with a fresh schema: "it is up" would prove nothing (SYNAPSE.md section 5). */
const OWN_TABLES = ['events', 'event_json', 'users', 'rooms', 'schema_version'];

const SCHEMA_VERSION = 'SELECT max(version) FROM schema_version';

/** Counts: fact -> SQL; `$1` is `:server.name`. Only what a restore must bring back unchanged. */
const COUNTS: readonly (readonly [fact: string, table: string, sql: string])[] = [
  ['users', 'users', 'SELECT count(*) FROM users'],
  ['users_active', 'users', 'SELECT count(*) FROM users WHERE deactivated = 0'],
  ['rooms', 'rooms', 'SELECT count(*) FROM rooms'],
  [
    'rooms_joined',
    'event_forward_extremities',
    'SELECT count(DISTINCT room_id) FROM event_forward_extremities',
  ],
  ['events', 'events', 'SELECT count(*) FROM events'],
  ['events_local', 'events', 'SELECT count(*) FROM events WHERE right(sender, length($1)) = $1'],
  ['event_json', 'event_json', 'SELECT count(*) FROM event_json'],
  ['forward_extremities', 'event_forward_extremities', 'SELECT count(*) FROM event_forward_extremities'],
  ['state_groups', 'state_groups', 'SELECT count(*) FROM state_groups'],
  [
    'media_local',
    'local_media_repository',
    'SELECT count(*) FROM local_media_repository WHERE url_cache IS NULL AND media_length IS NOT NULL',
  ],
  [
    'media_local_bytes',
    'local_media_repository',
    'SELECT coalesce(sum(media_length), 0) FROM local_media_repository WHERE url_cache IS NULL',
  ],
  ['devices', 'devices', 'SELECT count(*) FROM devices'],
  ['access_tokens', 'access_tokens', 'SELECT count(*) FROM access_tokens'],
  ['background_updates_pending', 'background_updates', 'SELECT count(*) FROM background_updates'],
  ['schema_version', 'schema_version', SCHEMA_VERSION],
  ['schema_compat_version', 'schema_compat_version', 'SELECT max(compat_version) FROM schema_compat_version'],
  ['max_stream_ordering', 'events', 'SELECT coalesce(max(stream_ordering), 0) FROM events'],
  // Rows that lack their partner; `|| ''` keeps the query off the indexes, which may name rows that are lost, and hashes instead.
  ['events_without_json', 'event_json', lacking('events', 'event_json')],
  ['json_without_event', 'event_json', lacking('event_json', 'events')],
  ['extremities_without_event', 'event_forward_extremities', lacking('event_forward_extremities', 'events')],
  ['state_events_without_event', 'state_events', lacking('state_events', 'events')],
  [
    'state_groups_missing',
    'event_to_state_groups',
    'SELECT count(*) FROM event_to_state_groups s WHERE NOT EXISTS (SELECT FROM state_groups g WHERE g.id + 0 = s.state_group + 0)',
  ],
  ['min_stream_ordering', 'events', 'SELECT coalesce(min(stream_ordering), 0) FROM events'],
];

/** Rows of one table whose event is not in another. */
function lacking(table: string, partner: string): string {
  return `SELECT count(*) FROM ${table} x WHERE NOT EXISTS (SELECT FROM ${partner} p WHERE p.event_id || '' = x.event_id || '')`;
}

/** Tables whose content, not only their number of rows, must come back: one changed message body is found. */
const DIGESTS: readonly (readonly [table: string, columns: readonly string[]])[] = [
  ['event_json', ['event_id', 'room_id', 'json', 'internal_metadata', 'format_version']],
  ['users', ['name', 'password_hash', 'admin', 'deactivated', 'user_type', 'appservice_id', 'is_guest']],
  ['room_memberships', ['event_id', 'user_id', 'room_id', 'membership', 'forgotten']],
  ['current_state_events', ['event_id', 'room_id', 'type', 'state_key', 'membership']],
  ['devices', ['user_id', 'device_id', 'display_name', 'hidden']],
  ['e2e_cross_signing_keys', ['user_id', 'keytype', 'keydata', 'stream_id']],
  [
    'local_media_repository',
    [
      'media_id',
      'media_type',
      'media_length',
      'created_ts',
      'upload_name',
      'user_id',
      'quarantined_by',
      'sha256',
    ],
  ],
];

/**
 * Facts of one Synapse database, in the caller's transaction: measured inside the exported snapshot at backup, and again on
 * the restored copy, where they must be equal. One-time keys and cached remote media are not counted: they are not restored.
 * Errors: `database-foreign`, `server-name-mismatch`.
 */
export async function synapseFacts(
  session: PostgresSession,
  { serverName }: { readonly serverName: string },
): Promise<KindFacts> {
  const schema = await readSchema(session);
  await requireSynapse(session, schema);
  await requireServerName(session, serverName);
  return {
    facts: {
      ...(await counts(session, schema, `:${serverName}`)),
      ...(await streamPositions(session, schema)),
    },
    digests: await digests(session, schema),
    newestEventTs: await newestEventTs(session),
  };
}

async function requireSynapse(session: PostgresSession, schema: Schema): Promise<void> {
  const missing = OWN_TABLES.filter((table) => !schema.has(table));
  if (missing.length === 0) return;
  const [row] = await session.query<{ name: string }>('SELECT current_database()::text AS name');
  const problem =
    schema.size === 0 ? 'is empty' : `is not a Synapse database: it has no table ${missing.join(', ')}`;
  throw new LifeboatError('database-foreign', `database ${row!.name} ${problem}`, {
    hint: 'Correct the database block; Synapse itself would start on it and fill it with a new, empty schema.',
    context: { database: row!.name },
  });
}

/** Synapse refuses the same (check_database_before_upgrade): its users belong to one server name for ever. */
async function requireServerName(session: PostgresSession, serverName: string): Promise<void> {
  const foreign = await session.query<{ name: string }>(
    `SELECT name FROM users WHERE right(name, length($1)) <> $1 ORDER BY name LIMIT 1`,
    [`:${serverName}`],
  );
  const [first] = foreign;
  if (first === undefined) return;
  const found = first.name.slice(first.name.indexOf(':') + 1);
  throw new LifeboatError('server-name-mismatch', `the database belongs to ${found}, not to ${serverName}`, {
    hint: 'Use the homeserver.yaml that belongs to this database.',
    context: { configured: serverName, found },
  });
}

async function counts(
  session: PostgresSession,
  schema: Schema,
  suffix: string,
): Promise<Record<string, number>> {
  const facts: Record<string, number> = {};
  for (const [fact, table, sql] of COUNTS) {
    if (!schema.has(table)) continue;
    const [row] = await session.query<{ value: string | number | null }>(
      `SELECT (${sql}) AS value`,
      sql.includes('$1') ? [suffix] : [],
    );
    facts[fact] = Number(row!.value ?? 0);
  }
  return facts;
}

/** `stream_position events master` -> 4711. Rows of the table, and so restored exactly, unlike the sequences. */
async function streamPositions(session: PostgresSession, schema: Schema): Promise<Record<string, number>> {
  if (!schema.has('stream_positions')) return {};
  const rows = await session.query<{ stream_name: string; instance_name: string; stream_id: string }>(
    'SELECT stream_name, instance_name, stream_id FROM stream_positions ORDER BY stream_name, instance_name',
  );
  return Object.fromEntries(
    rows.map((row) => [`stream_position ${row.stream_name} ${row.instance_name}`, Number(row.stream_id)]),
  );
}

async function digests(session: PostgresSession, schema: Schema): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [table, columns] of DIGESTS) {
    const present = columns.filter((column) => hasColumn(schema, table, column));
    if (present.length > 0) found[table] = await tableDigest(session, table, present);
  }
  return found;
}

/** By our own clock (`received_ts`): a remote server may put any year into `origin_server_ts`. */
async function newestEventTs(session: PostgresSession): Promise<number | null> {
  const rows = await session.query<{ ts: string }>(
    'SELECT coalesce(received_ts, origin_server_ts) AS ts FROM events WHERE stream_ordering = (SELECT max(stream_ordering) FROM events)',
  );
  return rows[0] === undefined ? null : Number(rows[0].ts);
}

/** The fact `schema_version` alone: all facts read the largest tables. */
export async function synapseSchemaVersion(session: PostgresSession): Promise<number> {
  const [row] = await session.query<{ version: number | null }>(`SELECT (${SCHEMA_VERSION}) AS version`);
  return row?.version ?? 0;
}
