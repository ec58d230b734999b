import type { PostgresSession } from '../../database/port.ts';
import { readSchema, type Schema } from './schema.ts';
import { readSequences } from './streams.ts';

/** What must be true inside one Synapse database, whatever a manifest says. */
export interface IntegrityFinding {
  /** Stable: `one-time-keys-empty`, `events-have-json`, ... */
  readonly id: string;
  readonly title: string;
  readonly ok: boolean;
  /** `0 events`, `3 rooms` */
  readonly observed: string;
  /** At most 20 of the events, rooms, users or sequences concerned. */
  readonly names: readonly string[];
  /** `warning`: people should know, and the server runs, or will once `cleanse` has repaired it. */
  readonly severity: 'error' | 'warning';
}

interface Rule {
  readonly id: string;
  readonly title: string;
  /** Plural of what is counted. */
  readonly unit: string;
  readonly severity?: 'warning';
  readonly tables: readonly string[];
  /** Yields `name`, one row for each offender. `$1` is `:server.name`. */
  readonly offenders: string;
}

const NAMED = 20;

/** Each took 0 to 2 s on 756,000 events (SYNAPSE.md section 5): anti-joins that hash one side, no query a row. */
const RULES: readonly Rule[] = [
  {
    id: 'one-time-keys-empty',
    title: 'no one-time keys came back: a key given out twice makes messages undecryptable',
    unit: 'keys',
    // Every plain pg_dump brings them; `cleanse` removes them before the first start.
    severity: 'warning',
    tables: ['e2e_one_time_keys_json'],
    offenders: `SELECT user_id || ' ' || device_id || ' ' || key_id AS name FROM e2e_one_time_keys_json`,
  },
  {
    id: 'events-have-json',
    title: 'every event has its JSON',
    unit: 'events',
    tables: ['events', 'event_json'],
    offenders:
      'SELECT event_id AS name FROM events e WHERE NOT EXISTS (SELECT FROM event_json j WHERE j.event_id = e.event_id)',
  },
  {
    id: 'extremities-have-events',
    title: 'every forward extremity is an event that is there',
    unit: 'extremities',
    tables: ['events', 'event_forward_extremities'],
    offenders:
      'SELECT event_id AS name FROM event_forward_extremities x WHERE NOT EXISTS (SELECT FROM events e WHERE e.event_id = x.event_id)',
  },
  {
    id: 'events-have-state',
    title: 'every event of a joined room has its state group',
    unit: 'events',
    tables: ['events', 'event_to_state_groups'],
    offenders:
      'SELECT event_id AS name FROM events e WHERE NOT outlier AND NOT EXISTS (SELECT FROM event_to_state_groups s WHERE s.event_id = e.event_id)',
  },
  {
    id: 'state-groups-exist',
    title: 'every state group that an event names is there',
    unit: 'events',
    tables: ['event_to_state_groups', 'state_groups'],
    offenders:
      'SELECT event_id AS name FROM event_to_state_groups s WHERE NOT EXISTS (SELECT FROM state_groups g WHERE g.id = s.state_group)',
  },
  {
    id: 'rooms-have-create',
    title: 'every room that the server is in has its create event',
    unit: 'rooms',
    tables: ['events', 'event_forward_extremities'],
    // Rooms that were only invited to, or left and forgotten, have no extremity and need no create event.
    offenders: `SELECT DISTINCT room_id AS name FROM event_forward_extremities x
      WHERE NOT EXISTS (SELECT FROM events e WHERE e.room_id = x.room_id AND e.type = 'm.room.create')`,
  },
  {
    id: 'state-edges-unique',
    title: 'no state group edge is there twice, as after a restore over an existing database',
    unit: 'edges',
    tables: ['state_group_edges'],
    offenders: `SELECT state_group || ' -> ' || prev_state_group AS name FROM state_group_edges GROUP BY state_group, prev_state_group HAVING count(*) > 1`,
  },
  {
    id: 'members-have-accounts',
    title:
      'every local member has an account: a lost one can be registered by anybody, who then speaks in its rooms',
    unit: 'users',
    severity: 'warning',
    tables: ['room_memberships', 'users'],
    // Acts of their own only: anybody may invite a local user that never existed.
    offenders: `SELECT DISTINCT user_id AS name FROM room_memberships m
      WHERE right(user_id, length($1)) = $1 AND sender = user_id AND NOT EXISTS (SELECT FROM users u WHERE u.name = m.user_id)`,
  },
];

/** All rules, in a fixed order. A rule whose table the schema lacks is reported as failed, never left out. */
export async function checkIntegrity(
  session: PostgresSession,
  { serverName }: { readonly serverName: string },
): Promise<IntegrityFinding[]> {
  const schema = await readSchema(session);
  const findings: IntegrityFinding[] = [];
  for (const rule of RULES) findings.push(await checkRule(session, schema, rule, `:${serverName}`));
  findings.push(await checkSequences(session, schema));
  return findings;
}

async function checkRule(
  session: PostgresSession,
  schema: Schema,
  rule: Rule,
  suffix: string,
): Promise<IntegrityFinding> {
  const { id, title, unit, severity = 'error', tables, offenders } = rule;
  const absent = tables.filter((table) => !schema.has(table));
  if (absent.length > 0)
    return { id, title, severity, ok: false, observed: `no table ${absent.join(', ')}`, names: absent };
  const [row] = await session.query<{ count: string; names: string[] | null }>(
    `WITH offenders AS MATERIALIZED (${offenders})
     SELECT (SELECT count(*) FROM offenders) AS count,
            (SELECT array_agg(name) FROM (SELECT name FROM offenders ORDER BY name LIMIT ${NAMED}) AS first) AS names`,
    offenders.includes('$1') ? [suffix] : [],
  );
  const count = Number(row!.count);
  return { id, title, severity, ok: count === 0, observed: `${count} ${unit}`, names: row!.names ?? [] };
}

/** Synapse does not start when a position is ahead of its sequence (IncorrectDatabaseSetup; element-hq/synapse #18544). */
async function checkSequences(session: PostgresSession, schema: Schema): Promise<IntegrityFinding> {
  const behind = (await readSequences(session, schema)).filter(
    ({ lastValue, tableMax, positionMax }) => lastValue < Math.max(tableMax, positionMax),
  );
  return {
    id: 'sequences-not-behind',
    title: 'no sequence lags behind its table or its stream position',
    // `cleanse` advances them.
    severity: 'warning',
    ok: behind.length === 0,
    observed: `${behind.length} sequences`,
    names: behind.map(
      ({ sequence, lastValue, tableMax, positionMax }) =>
        `${sequence}: at ${lastValue}, used up to ${Math.max(tableMax, positionMax)}`,
    ),
  };
}
