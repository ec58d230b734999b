import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findSurroundings } from '../../../../src/homeserver/index.ts';
import type { InventoryFile, Listener } from '../../../../src/homeserver/port.ts';
import { environmentFiles } from '../../../../src/homeserver/synapse/surroundings/systemd.ts';
import { asOrdinaryUser } from '../../../jobs/ordinary-user.ts';
import { tree } from '../tree.ts';

const LISTENER: Listener = { port: 8008, tls: false, resources: ['client'], bindAddresses: ['127.0.0.1'] };

async function around(
  files: Readonly<Record<string, string>>,
  configFile = '/etc/matrix-synapse/homeserver.yaml',
  serverName = 'example.org',
) {
  const root = await tree(files);
  const config: InventoryFile = { path: configFile, role: 'homeserver-config', component: 'config' };
  const found = await findSurroundings({ serverName, listeners: [LISTENER], files: [config] }, root);
  return {
    files: found.files.map(({ role, path }) => `${role} ${path.slice(root.length)}`),
    secrets: found.secrets.map(({ name, value }) => [name, value.reveal()]),
  };
}

describe('what surrounds a homeserver', () => {
  it('is left out with a warning where it cannot be read, as the secrets of a unit of root', async () => {
    const root = await tree({
      'lib/systemd/system/matrix-synapse.service': '[Service]\nEnvironmentFile=/etc/synapse.env\n',
      'etc/synapse.env': 'TOKEN=hush-hush\n',
    });
    await chmod(root, 0o755);
    await chmod(join(root, 'lib/systemd/system/matrix-synapse.service'), 0o644);
    await chmod(join(root, 'etc/synapse.env'), 0o000);
    const found = await asOrdinaryUser(() =>
      findSurroundings({ serverName: 'example.org', listeners: [LISTENER], files: [] }, root),
    );
    expect(found.files.map(({ role }) => role)).toEqual(['service-unit']);
    expect(found.warnings).toEqual([
      `${join(root, 'etc/synapse.env')} (environment) cannot be read and is left out`,
    ]);
  });

  it('is its unit with drop-ins, its workers’ units, and the environment files that they name', async () => {
    const { files, secrets } = await around({
      'lib/systemd/system/matrix-synapse.service':
        '[Service]\nEnvironmentFile=-/etc/default/matrix-synapse\n',
      'etc/systemd/system/matrix-synapse.service.d/limits.conf':
        '[Service]\nEnvironmentFile=/etc/synapse.env\n',
      'etc/systemd/system/synapse-worker@.service':
        '[Service]\nExecStart=python -m synapse.app.generic_worker -c /etc/matrix-synapse/homeserver.yaml -c /etc/matrix-synapse/workers/%i.yaml\n',
      'etc/systemd/system/synapse-admin.service':
        '[Service]\nExecStart=run /etc/matrix-synapse-admin/config\n',
      'etc/default/matrix-synapse': 'SYNAPSE_CACHE_FACTOR=2\n',
      'etc/synapse.env': 'export S3_SECRET_ACCESS_KEY="hush hush"\nPLAIN=1\n',
    });
    expect(files).toEqual([
      'service-unit /etc/systemd/system/synapse-worker@.service',
      'service-unit /lib/systemd/system/matrix-synapse.service',
      'service-unit /etc/systemd/system/matrix-synapse.service.d/limits.conf',
      'environment /etc/default/matrix-synapse',
      'environment /etc/synapse.env',
    ]);
    expect(secrets).toEqual([['environment S3_SECRET_ACCESS_KEY', 'hush hush']]);
  });

  it('is the compose project that mounts its configuration, with .env and env_file', async () => {
    const compose = (image: string) =>
      `services:\n  hs:\n    image: ${image}\n    env_file: [{path: hs.env, required: false}]\n    volumes: ["\${DATA:-./files}:/data"]\n`;
    const { files, secrets } = await around(
      {
        'srv/matrix/compose.yaml': compose('ghcr.io/element-hq/synapse:v1.163.2'),
        'srv/matrix/docker-compose.override.yml': 'services: {hs: {restart: always}}\n',
        'srv/matrix/.env': 'POSTGRES_PASSWORD=hush-hush\nDATA=./data\n',
        'srv/matrix/hs.env': 'TZ=UTC\n',
        'srv/matrix/data/homeserver.yaml': '',
        'srv/other/compose.yaml': compose('matrixdotorg/synapse'),
      },
      '/srv/matrix/data/homeserver.yaml',
    );
    expect(files).toEqual([
      'service-unit /srv/matrix/compose.yaml',
      'service-unit /srv/matrix/docker-compose.override.yml',
      'environment /srv/matrix/.env',
      'environment /srv/matrix/hs.env',
    ]);
    expect(secrets).toEqual([['environment POSTGRES_PASSWORD', 'hush-hush']]);
  });

  it.each([
    ['nginx', 'etc/nginx/sites-enabled/matrix', 'server { server_name matrix.example.org; }'],
    [
      'Apache',
      'etc/apache2/sites-enabled/matrix.conf',
      'ProxyPass /_matrix http://127.0.0.1:8008/_matrix nocanon',
    ],
    ['Caddy', 'etc/caddy/Caddyfile', 'example.org {\n reverse_proxy /_matrix/* localhost:8008\n}'],
    [
      'Traefik',
      'etc/traefik/dynamic/matrix.yml',
      'http: {routers: {m: {rule: "Host(`matrix.example.org`)"}}}',
    ],
    ['HAProxy', 'etc/haproxy/haproxy.cfg', 'backend matrix\n  server matrix 127.0.0.1:8008\n'],
  ])('is the configuration of %s, where it names the server or its listener', async (_, path, text) => {
    expect((await around({ [path]: text })).files).toEqual([`reverse-proxy /${path}`]);
  });

  it('is not what names another server, another port, or names it in a comment', async () => {
    const { files } = await around({
      'etc/nginx/sites-enabled/other':
        'server_name notexample.org example.org.uk; proxy_pass http://127.0.0.1:80089;',
      'etc/nginx/nginx.conf': '  # example.org\n',
    });
    expect(files).toEqual([]);
  });

  it('is .well-known below what the proxy serves, and in the usual places', async () => {
    const { files } = await around({
      'etc/nginx/conf.d/x.conf': 'server {\n  server_name example.org;\n  root /srv/web;\n}',
      'srv/web/.well-known/matrix/server': '{}',
      'var/www/html/.well-known/matrix/client': '{}',
      'var/www/html/.well-known/acme-challenge/x': '',
    });
    expect(files).toEqual([
      'reverse-proxy /etc/nginx/conf.d/x.conf',
      'well-known /srv/web/.well-known/matrix/server',
      'well-known /var/www/html/.well-known/matrix/client',
    ]);
  });
});

it('an environment file that may be missing is one, a name with a specifier is none', () => {
  expect(
    environmentFiles('EnvironmentFile=-/etc/a\n EnvironmentFile = /etc/b\nEnvironmentFile=/etc/%i.env\n'),
  ).toEqual(['/etc/a', '/etc/b']);
});
