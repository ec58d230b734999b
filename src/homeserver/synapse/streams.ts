import type { PostgresSession } from '../../database/port.ts';
import type { Schema } from './schema.ts';

/**
 * Streams of Synapse 1.163.2 (every MultiWriterIdGenerator in synapse/storage/databases): name in `stream_positions`, its
 * sequence, and the columns whose values it hands out. `backfill` counts downwards: its ids are negative.
 */
interface Stream {
  readonly stream: string | undefined;
  readonly sequence: string;
  readonly columns: readonly (readonly [table: string, column: string])[];
  readonly negative?: boolean;
}

const STREAMS: readonly Stream[] = [
  {
    stream: 'events',
    sequence: 'events_stream_seq',
    columns: [
      ['events', 'stream_ordering'],
      ['current_state_delta_stream', 'stream_id'],
      ['ex_outlier_stream', 'event_stream_ordering'],
    ],
  },
  {
    stream: 'backfill',
    sequence: 'events_backfill_stream_seq',
    columns: [
      ['events', 'stream_ordering'],
      ['ex_outlier_stream', 'event_stream_ordering'],
    ],
    negative: true,
  },
  {
    stream: 'account_data',
    sequence: 'account_data_sequence',
    columns: [
      ['room_account_data', 'stream_id'],
      ['room_tags_revisions', 'stream_id'],
      ['account_data', 'stream_id'],
    ],
  },
  {
    stream: 'device_lists_stream',
    sequence: 'device_lists_sequence',
    columns: [
      ['device_lists_stream', 'stream_id'],
      ['user_signature_stream', 'stream_id'],
      ['device_lists_outbound_pokes', 'stream_id'],
      ['device_lists_changes_in_room', 'stream_id'],
      ['device_lists_remote_pending', 'stream_id'],
      ['device_lists_changes_converted_stream_position', 'stream_id'],
    ],
  },
  {
    stream: 'to_device',
    sequence: 'device_inbox_sequence',
    columns: [
      ['device_inbox', 'stream_id'],
      ['device_federation_outbox', 'stream_id'],
    ],
  },
  {
    stream: 'pushers',
    sequence: 'pushers_sequence',
    columns: [
      ['pushers', 'id'],
      ['deleted_pushers', 'stream_id'],
    ],
  },
  {
    stream: 'caches',
    sequence: 'cache_invalidation_stream_seq',
    columns: [['cache_invalidation_stream_by_instance', 'stream_id']],
  },
  {
    stream: 'e2e_cross_signing_keys',
    sequence: 'e2e_cross_signing_keys_sequence',
    columns: [['e2e_cross_signing_keys', 'stream_id']],
  },
  {
    stream: 'presence_stream',
    sequence: 'presence_stream_sequence',
    columns: [['presence_stream', 'stream_id']],
  },
  {
    stream: 'profile_updates',
    sequence: 'profile_updates_sequence',
    columns: [['profile_updates', 'stream_id']],
  },
  {
    stream: 'push_rules_stream',
    sequence: 'push_rules_stream_sequence',
    columns: [['push_rules_stream', 'stream_id']],
  },
  {
    stream: 'quarantined_media',
    sequence: 'quarantined_media_id_seq',
    columns: [['quarantined_media_changes', 'stream_id']],
  },
  { stream: 'receipts', sequence: 'receipts_sequence', columns: [['receipts_linearized', 'stream_id']] },
  { stream: 'sticky_events', sequence: 'sticky_events_sequence', columns: [['sticky_events', 'stream_id']] },
  {
    stream: 'thread_subscriptions',
    sequence: 'thread_subscriptions_sequence',
    columns: [['thread_subscriptions', 'stream_id']],
  },
  {
    stream: 'un_partial_stated_event_stream',
    sequence: 'un_partial_stated_event_stream_sequence',
    columns: [['un_partial_stated_event_stream', 'stream_id']],
  },
  {
    stream: 'un_partial_stated_room_stream',
    sequence: 'un_partial_stated_room_stream_sequence',
    columns: [['un_partial_stated_room_stream', 'stream_id']],
  },
  {
    stream: undefined,
    sequence: 'application_services_txn_id_seq',
    columns: [['application_services_txns', 'txn_id']],
  },
  { stream: undefined, sequence: 'event_auth_chain_id', columns: [['event_auth_chains', 'chain_id']] },
  { stream: undefined, sequence: 'instance_map_instance_id_seq', columns: [['instance_map', 'instance_id']] },
  { stream: undefined, sequence: 'state_group_id_seq', columns: [['state_groups', 'id']] },
];

/** Where a sequence stands, and how far the tables and stream positions that it feeds have come. */
export interface SequenceState {
  readonly sequence: string;
  /** The last number handed out; 0 when none was. */
  readonly lastValue: number;
  readonly tableMax: number;
  /** 0 for sequences without a stream. */
  readonly positionMax: number;
}

/** One small query a sequence; every maximum is read from an index. Sequences and tables that this schema lacks are left out. */
export async function readSequences(session: PostgresSession, schema: Schema): Promise<SequenceState[]> {
  const present = await session.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace`,
  );
  const names = new Set(present.map(({ name }) => name));
  const states: SequenceState[] = [];
  for (const stream of STREAMS) {
    if (names.has(stream.sequence)) states.push(await readSequence(session, schema, stream));
  }
  return states;
}

async function readSequence(
  session: PostgresSession,
  schema: Schema,
  { stream, sequence, columns, negative = false }: Stream,
): Promise<SequenceState> {
  const highest = (column: string): string => (negative ? `-min(${column})` : `max(${column})`);
  const known = columns.filter(([table, column]) => schema.get(table)?.has(column));
  const maxima = known.map(([table, column]) => `(SELECT ${highest(column)} FROM ${table})`);
  const [row] = await session.query<Record<'last' | 'tables' | 'positions', string>>(
    `SELECT (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ${sequence}) AS last,
            greatest(0, ${maxima.join(', ') || '0'}) AS tables,
            coalesce((SELECT greatest(0, ${highest('stream_id')}) FROM stream_positions WHERE stream_name = $1), 0) AS positions`,
    [stream ?? ''],
  );
  return {
    sequence,
    lastValue: Number(row!.last),
    tableMax: Number(row!.tables),
    positionMax: Number(row!.positions),
  };
}
