import type { DatabaseCode } from '../../database/index.ts';

/**
 * All code that Synapse's schema has had since version 60 of it (synapse/storage/schema/main, deltas 60 to 80 and the full
 * schema 72, as of Synapse 1.163.2). `plpgsql` comes with every PostgreSQL.
 */
const OWN: Readonly<Record<DatabaseCode['kind'], readonly string[]>> = {
  'event trigger': [],
  extension: ['plpgsql'],
  function: [
    'check_event_stream_ordering',
    'check_partial_state_events',
    'delete_read_write_lock_parent',
    'populate_min_depth2',
    'upsert_read_write_lock_parent',
  ],
  rule: ['populate_stream_ordering2'],
  trigger: [
    'check_event_stream_ordering',
    'check_partial_state_events',
    'delete_read_write_lock_parent_trigger',
    'populate_min_depth2_trigger',
    'upsert_read_write_lock_parent_trigger',
  ],
};

/** By its name alone: what a function of this name does is not compared. */
export function isOwnCode({ kind, name }: DatabaseCode): boolean {
  return OWN[kind].includes(name);
}
