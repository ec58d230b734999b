import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { defang } from '../../../src/homeserver/synapse/defang.ts';
import { ALWAYS, WHEN_PRESENT } from '../../../src/homeserver/synapse/defang-settings.ts';
import { parseYaml } from '../../../src/config/yaml.ts';

const DRILL = {
  directory: '/drill',
  home: '/drill/home',
  databaseTarget: { host: '/drill/pg', port: 5432, user: 'synapse', database: 'synapse' },
  signingKeyPath: '/drill/signing.key',
  mediaStorePath: '/drill/media',
  clientPort: 8008,
  federationPort: 8448,
  tlsCert: '/drill/tls.crt',
  tlsKey: '/drill/tls.key',
  caFile: '/drill/ca.pem',
  probeNames: ['probe.invalid'],
  registrationSecret: new Secret('drill-secret'),
};

const settingsOf = (merged: Record<string, unknown>): string[] =>
  defang({ merged }, DRILL).changes.map(({ setting }) => setting);

describe('the overlay of a drill', () => {
  it('takes delegated login out, whose service and secret files are not there, and keeps the other experiments', () => {
    const experimental_features = {
      msc4108_enabled: true,
      msc3861: { enabled: true, client_secret_path: '/secrets/x' },
    };
    expect(defang({ merged: { experimental_features } }, DRILL).overlay['experimental_features']).toEqual({
      msc4108_enabled: true,
    });
    expect(defang({ merged: {} }, DRILL).overlay).not.toHaveProperty('experimental_features');
  });

  it('closes every outlet of SYNAPSE.md section 6', () => {
    expect(defang({ merged: {} }, DRILL).overlay).toMatchObject({
      federation_domain_whitelist: ['probe.invalid'],
      ip_range_blacklist: ['0.0.0.0/0', '::/0'],
      ip_range_whitelist: ['127.0.0.1/32'],
      trusted_key_servers: [],
      federation_custom_ca_list: ['/drill/ca.pem'],
      send_federation: true,
      start_pushers: false,
      push: { enabled: false },
      email: {},
      app_service_config_files: [],
      notify_appservices: false,
      presence: { enabled: false },
      url_preview_enabled: false,
      report_stats: false,
      retention: { enabled: false },
      media_retention: {},
      media_storage_providers: [],
      modules: [],
      oidc_providers: [],
      auto_join_rooms: [],
      enable_registration: false,
      redaction_retention_period: null,
      forgotten_room_retention_period: null,
      user_ips_max_age: null,
      registration_shared_secret: 'drill-secret',
      registration_shared_secret_path: null,
    });
  });

  it('is YAML that says the same as the object', () => {
    const { overlay, yaml, logConfig } = defang({ merged: { redis: { enabled: true } } }, DRILL);
    expect(parseYaml(yaml, 'overlay')).toEqual(overlay);
    expect(parseYaml(logConfig.yaml, 'log')).toMatchObject({ version: 1 });
    expect(overlay).toMatchObject({ log_config: logConfig.path });
  });

  it('listens on loopback only', () => {
    const { listeners } = defang({ merged: {} }, DRILL).overlay as {
      listeners: { port: number; bind_addresses: string[]; tls: boolean }[];
    };
    expect(listeners.map(({ port, bind_addresses, tls }) => [port, bind_addresses, tls])).toEqual([
      [8008, ['127.0.0.1'], false],
      [8448, ['127.0.0.1'], true],
    ]);
  });

  it('folds workers into one process', () => {
    const merged = {
      redis: { enabled: true },
      instance_map: { w: {} },
      stream_writers: { events: 'w' },
      federation_sender_instances: ['w'],
    };
    expect(defang({ merged }, DRILL).overlay).toMatchObject({
      redis: { enabled: false },
      instance_map: {},
      stream_writers: {},
      federation_sender_instances: null,
    });
  });

  it('reports what it changed, and only that', () => {
    expect(settingsOf({ app_service_config_files: ['/a.yaml'] })).toContain('app_service_config_files');
    expect(settingsOf({ app_service_config_files: [] })).not.toContain('app_service_config_files');
    expect(settingsOf({})).not.toContain('app_service_config_files');
    expect(settingsOf({ presence: { enabled: false } })).not.toContain('presence');
    // Switched on by default, so saying nothing means on.
    expect(settingsOf({})).toEqual(
      expect.arrayContaining(['push', 'presence', 'start_pushers', 'trusted_key_servers']),
    );
  });

  it('names no setting twice and gives a reason for each', () => {
    const merged = Object.fromEntries(WHEN_PRESENT.map(({ setting }) => [setting, 'original']));
    const names = settingsOf({ ...merged, macaroon_secret_key_path: '/m' });
    expect(new Set(names).size).toBe(names.length);
    expect([...ALWAYS, ...WHEN_PRESENT].every(({ reason }) => reason.length > 5)).toBe(true);
  });

  it('points at secret files that were restored and switches the others off', () => {
    const merged = { macaroon_secret_key_path: '/etc/macaroon', form_secret_path: '/etc/form' };
    const { overlay } = defang(
      { merged },
      { ...DRILL, placedSecrets: { '/etc/macaroon': '/drill/keys/macaroon' } },
    );
    expect(overlay).toMatchObject({
      macaroon_secret_key_path: '/drill/keys/macaroon',
      form_secret_path: null,
    });
  });

  it('leaves an inline signing key where it is, because an overlay cannot take it out', () => {
    expect(defang({ merged: { signing_key: 'ed25519 a x' } }, DRILL).overlay).not.toHaveProperty(
      'signing_key_path',
    );
    expect(defang({ merged: {} }, DRILL).overlay).toHaveProperty('signing_key_path', '/drill/signing.key');
  });

  it('keeps the pepper and all else that the identity needs', () => {
    const { overlay } = defang(
      { merged: { password_config: { pepper: 'p' }, old_signing_keys: {}, server_name: 'a' } },
      DRILL,
    );
    for (const kept of ['password_config', 'old_signing_keys', 'server_name', 'macaroon_secret_key'])
      expect(overlay).not.toHaveProperty(kept);
  });
});
