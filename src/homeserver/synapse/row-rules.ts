import type { RowRules } from '../port.ts';

/**
 * How Synapse's tables grow and shrink (its storage/databases at 1.163.2). `events` is what a purge of history or of a room
 * deletes from; the tables in `shrinkWith` lose rows by that only (purge_events.py).
 */
export const ROW_RULES: RowRules = {
  // An account is deactivated, never deleted.
  growing: ['users', 'applied_schema_deltas', 'instance_map'],
  together: [['events', 'event_json']],
  shrinkWith: {
    events: [
      'event_auth',
      'event_edges',
      'event_relations',
      'event_to_state_groups',
      'redactions',
      'rejections',
      'room_depth',
      'room_memberships',
      'rooms',
      'state_events',
    ],
  },
  // Queues, caches, streams that are cut, and what users, admins and background jobs delete every day.
  volatile:
    /^(?:access_tokens|background_updates|batch_events|cache_invalidation.*|current_state_delta_stream|dehydrated_devices|delayed_events.*|deleted_pushers|destination_rooms.*|destinations|device_.*|devices|e2e_(?:fallback|one_time)_keys_json|event_(?:auth_chain.*|backward_extremities|expiry|failed_pull_attempts|forward_extremities|push_.*|search|txn_id.*)|ex_outlier_stream|federation_.*|ignored_users|insertion_.*|local_media_repository_(?:thumbnails|url_cache)|login_tokens|monthly_active_users|open_id_tokens|partial_state_.*|presence.*|profile_updates.*|pusher.*|push_rules_stream|ratelimit_override|receipts_.*|received_transactions|refresh_tokens|registration_tokens|remote_media_cache.*|room_stats_.*|scheduled_tasks|server_.*|sessions|sliding_sync_.*|state_group.*|sticky_events|stream_ordering_to_exterm|temp_.*|threepid_.*|timeline_gaps|ui_auth_.*|un_partial_.*|user_(?:daily_visits|directory.*|ips|signature_stream|stats_current)|users_(?:in_public_rooms|pending_deactivation|to_send.*|who_share.*)|worker_.*|.*_(?:stream|new))$/,
  relations: {
    events_without_json: 'events without their JSON',
    json_without_event: 'event_json rows without their event',
    extremities_without_event: 'forward extremities without their event',
    state_groups_missing: 'events whose state group is not there',
    state_events_without_event: 'state_events rows without their event',
  },
  positions: ['max_stream_ordering'],
  versions: ['schema_version'],
  migrating: 'background_updates_pending',
};
