import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../src/config/yaml.ts';
import { Secret } from '../../../src/core/secret.ts';
import { relocate } from '../../../src/homeserver/index.ts';

const PLACE = {
  database: { host: 'db', port: 5432, user: 'new', password: new Secret('hush'), database: 'synapse_new' },
  mediaStorePath: '/srv/new/media_store',
  signingKeyPath: '/srv/new/keys/example.signing.key',
  placed: { '/etc/log.yaml': '/srv/new/config/etc/log.yaml', 'as.yaml': '/srv/new/config/as.yaml' },
  runDirectory: '/srv/new',
  logConfigPath: '/srv/new/config/lifeboat-log.yaml',
  logging: undefined as unknown,
};
const overlayOf = (merged: Record<string, unknown>, logging?: unknown) => {
  const { yaml, ...rest } = relocate(merged, { ...PLACE, logging });
  return { overlay: parseYaml(yaml, 'overlay') as Record<string, unknown>, ...rest };
};

describe('the overlay of a real restore', () => {
  it('names the new database, media, key and files, and keeps the connection pool as it was', () => {
    const args = { user: 'old', password: 'old', host: 'gone', cp_max: 10 };
    const { overlay } = overlayOf({
      database: { name: 'psycopg2', txn_limit: 5, args },
      app_service_config_files: ['as.yaml', 'other.yaml'],
      server_name: 'example.com',
    });
    expect(overlay).toEqual({
      database: {
        name: 'psycopg2',
        txn_limit: 5,
        args: { cp_max: 10, host: 'db', port: 5432, user: 'new', password: 'hush', dbname: 'synapse_new' },
      },
      media_store_path: PLACE.mediaStorePath,
      signing_key_path: PLACE.signingKeyPath,
      app_service_config_files: ['/srv/new/config/as.yaml', 'other.yaml'],
    });
  });

  it('lets the copy write its process id and its logs where it lives, not where the old server did', () => {
    const logging = {
      version: 1,
      handlers: {
        file: {
          class: 'logging.handlers.TimedRotatingFileHandler',
          filename: '/var/log/matrix/homeserver.log',
        },
        console: { class: 'logging.StreamHandler' },
      },
    };
    const moved = overlayOf({ pid_file: '/run/synapse.pid', log_config: '/etc/log.yaml' }, logging);
    expect(moved.overlay).toMatchObject({
      pid_file: '/srv/new/homeserver.pid',
      log_config: PLACE.logConfigPath,
    });
    expect(JSON.parse(moved.logging!)).toEqual({
      version: 1,
      handlers: {
        file: { class: 'logging.handlers.TimedRotatingFileHandler', filename: '/srv/new/homeserver.log' },
        console: { class: 'logging.StreamHandler' },
      },
    });
  });

  it('leaves logging alone that writes to no file', () => {
    const logging = { version: 1, handlers: { console: { class: 'logging.StreamHandler' } } };
    const moved = overlayOf({ log_config: '/etc/log.yaml' }, logging);
    expect(moved.overlay['log_config']).toBe('/srv/new/config/etc/log.yaml');
    expect(moved.logging).toBeUndefined();
  });
});
