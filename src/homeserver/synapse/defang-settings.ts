/**
 * Settings that make a restored copy harmless. Without them it sends pushes and mail within a second of its start, queued
 * federation within ten, with no request made (SYNAPSE.md section 6). The last `-c` file wins per top-level key and cannot
 * remove one, so each stands with a value that switches it off.
 */
export interface Neutral {
  readonly setting: string;
  readonly value: unknown;
  readonly reason: string;
  /** Synapse's own default: when the original says nothing, writing the same down is no change. */
  readonly default: unknown;
}

/** Always in the overlay: tried together for 60 s with queued federation, pushes, mail and appservices; nothing went out. */
export const ALWAYS: readonly Neutral[] = [
  neutral('ip_range_blacklist', ['0.0.0.0/0', '::/0'], 'no requests to any address'),
  neutral('ip_range_whitelist', ['127.0.0.1/32'], 'except loopback, where the probe is', []),
  neutral('trusted_key_servers', [], 'keys are asked of the probe itself, of no notary', [
    { server_name: 'matrix.org' },
  ]),
  neutral('start_pushers', false, 'no push notifications to people', true),
  neutral('push', { enabled: false }, 'no push notifications to people', {}),
  neutral('email', {}, 'no mail to people', {}),
  neutral('app_service_config_files', [], 'no transactions to bridges and bots', []),
  neutral('notify_appservices', false, 'no transactions to bridges and bots', true),
  neutral('presence', { enabled: false }, 'no presence to other servers', {}),
  neutral('url_preview_enabled', false, 'no requests for URL previews', false),
  neutral('report_stats', false, 'no usage statistics', false),
  neutral('retention', { enabled: false }, 'no message is purged from the copy', { enabled: false }),
  neutral('media_retention', {}, 'no media file is purged from the copy', {}),
  neutral('media_storage_providers', [], 'no upload to and no deletion in the real storage', []),
  neutral('modules', [], 'modules can connect anywhere', []),
  neutral('oidc_providers', [], 'providers are contacted at start', []),
  neutral('auto_join_rooms', [], 'new users of the drill join no real room', []),
  neutral('enable_registration', false, 'nobody but the drill registers', false),
  neutral('redaction_retention_period', null, 'no event is censored in the copy', '7d'),
  neutral('forgotten_room_retention_period', null, 'no room is purged from the copy'),
  neutral('user_ips_max_age', null, 'no row is purged from the copy', '28d'),
  neutral('http_proxy', null, 'no way out through a proxy'),
  neutral('https_proxy', null, 'no way out through a proxy'),
];

/** In the overlay only where the original has them. */
export const WHEN_PRESENT: readonly Neutral[] = [
  // other outlets
  neutral(
    'federation_ip_range_blacklist',
    ['0.0.0.0', '::'],
    'an old setting; federation is fenced by its whitelist of names',
  ),
  neutral('perspectives', {}, 'keys are asked of the probe itself, of no notary'),
  neutral('password_providers', [], 'modules can connect anywhere'),
  neutral('spam_checker', [], 'modules can connect anywhere'),
  neutral('third_party_event_rules', null, 'modules can connect anywhere'),
  // Synapse looks only whether the key is there, so it gets an address where nobody listens.
  neutral('sentry', { dsn: 'http://drill@127.0.0.1:9/0' }, 'no error reports'),
  neutral('opentracing', { enabled: false }, 'no traces'),
  neutral('enable_metrics', false, 'nobody reads metrics of a drill'),
  neutral(
    'matrix_authentication_service',
    { enabled: false },
    'the authentication service is not part of the drill',
  ),
  neutral('oidc_config', null, 'providers are contacted at start'),
  neutral('saml2_config', null, 'providers are contacted at start'),
  neutral('cas_config', null, 'providers are contacted at log-in'),
  neutral('default_identity_server', null, 'no requests to an identity server'),
  neutral('account_threepid_delegates', {}, 'no requests to an identity server'),
  neutral('account_validity', {}, 'no renewal mails, no expiry in the copy'),
  neutral('server_notices', null, 'no notices to users'),
  neutral('user_consent', null, 'the drill user has not consented to anything'),
  neutral('auto_accept_invites', { enabled: false }, 'no joins on behalf of users'),
  neutral('delete_stale_devices_after', null, 'no device is deleted from the copy'),
  neutral('oembed', {}, 'no requests for URL previews'),
  // one process instead of several (tested: SYNAPSE.md section 8)
  neutral('redis', { enabled: false }, 'one process needs no Redis'),
  neutral('instance_map', {}, 'workers are folded into one process'),
  neutral('stream_writers', {}, 'workers are folded into one process'),
  neutral('federation_sender_instances', null, 'workers are folded into one process'),
  neutral('pusher_instances', null, 'workers are folded into one process'),
  neutral('outbound_federation_restricted_to', null, 'workers are folded into one process'),
  neutral('run_background_tasks_on', null, 'workers are folded into one process'),
  neutral('update_user_directory_from_worker', null, 'workers are folded into one process'),
  neutral('update_user_directory', true, 'workers are folded into one process'),
  neutral('media_instance_running_background_jobs', null, 'workers are folded into one process'),
  neutral('enable_media_repo', true, 'workers are folded into one process'),
  neutral('daemonize', false, 'the drill watches over the process itself'),
  neutral('soft_file_limit', 0, 'the sandbox may allow fewer open files'),
  // what the checks need
  neutral('limit_usage_by_mau', false, 'the drill user must not count against the limit'),
  neutral('hs_disabled', false, 'the checks need a server that answers'),
  neutral('disable_registration', true, 'nobody but the drill registers'),
  neutral('enable_registration_captcha', false, 'nobody but the drill registers'),
  // With mail switched off, Synapse would not start.
  neutral('registrations_require_3pid', [], 'nobody but the drill registers'),
  // files that are not part of a drill
  neutral('databases', null, 'the restored database is one'),
  neutral('database_path', null, 'the restored database is PostgreSQL'),
  neutral('backup_media_store_path', null, 'the copy of the media is in one place'),
  neutral('templates', null, "Synapse's own templates"),
  neutral('sso', {}, "Synapse's own templates"),
  neutral('manhole_settings', null, 'no debug console'),
];

/** Secrets from files: pointed at the restored file, or switched off where it was not restored. */
export const SECRET_FILES: readonly string[] = [
  'macaroon_secret_key_path',
  'form_secret_path',
  'worker_replication_secret_path',
  'turn_shared_secret_path',
  'recaptcha_private_key_path',
  'recaptcha_public_key_path',
  'key_server_signing_keys_path',
];

/** The checks make a room and send messages faster than a person; nobody else can reach the copy. */
const RELAXED = { per_second: 1000, burst_count: 1000 };
export const RATE_LIMITS: readonly Neutral[] = [
  neutral('rc_message', RELAXED, 'the checks send faster than a person'),
  neutral('rc_room_creation', RELAXED, 'the checks send faster than a person'),
  neutral('rc_joins', { local: RELAXED, remote: RELAXED }, 'the checks send faster than a person'),
  neutral(
    'rc_login',
    { address: RELAXED, account: RELAXED, failed_attempts: RELAXED },
    'the checks send faster than a person',
  ),
  neutral(
    'rc_federation',
    { window_size: 1000, sleep_limit: 10_000, sleep_delay: 1, reject_limit: 10_000, concurrent: 50 },
    'the checks send faster than a person',
  ),
];

function neutral(setting: string, value: unknown, reason: string, fallback?: unknown): Neutral {
  return { setting, value, reason, default: fallback };
}
