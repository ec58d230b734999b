import { describe, expect, it } from 'vitest';
import { placedPaths } from '../../../src/homeserver/index.ts';
import { containerPaths } from '../../../src/homeserver/synapse/container-paths.ts';
import { movedValue } from '../../../src/homeserver/synapse/placed-paths.ts';

const placed = (source: string, more: object = {}) => ({
  source,
  path: `/new${source}`,
  role: 'other',
  ...more,
});

describe('paths of a restored configuration', () => {
  it('are found wherever they stand: at the top, in maps, in lists of maps', () => {
    const merged = {
      log_config: '/etc/log.yaml',
      redis: { password_path: '/etc/redis' },
      oidc_providers: [{ client_secret_path: '/etc/oidc' }],
    };
    const files = ['/etc/log.yaml', '/etc/redis', '/etc/oidc'].map((path) => placed(path));
    const found = placedPaths(merged, files);
    expect(found).toEqual({
      '/etc/log.yaml': '/new/etc/log.yaml',
      '/etc/redis': '/new/etc/redis',
      '/etc/oidc': '/new/etc/oidc',
    });
    expect(movedValue(merged.oidc_providers, found, 'oidc_providers')).toEqual([
      { client_secret_path: '/new/etc/oidc' },
    ]);
    expect(movedValue({ enabled: true }, found, 'redis')).toBeUndefined();
  });

  it('are those of a container, when the homeserver ran in one', () => {
    const file = placed('/srv/files/log.yaml', { inside: '/data/log.yaml' });
    expect(placedPaths({ log_config: '/data/log.yaml' }, [file])).toEqual({ '/data/log.yaml': file.path });
  });

  it('are directories of templates too, by the files in them', () => {
    const merged = { templates: { custom_template_directory: '/etc/t' }, email: { template_dir: 'mail' } };
    const files = [placed('/etc/t/sub/a.html'), placed('/etc/mail/b.html')];
    expect(placedPaths(merged, files)).toEqual({ '/etc/t': '/new/etc/t', mail: '/new/etc/mail' });
  });

  it('are never a name that happens to be that of a file: of the server, of a user', () => {
    const merged = { server_name: 'example.org', database: { args: { user: 'matrix-synapse' } } };
    const files = [
      placed('/etc/nginx/sites-enabled/example.org', { role: 'reverse-proxy' }),
      placed('/etc/default/matrix-synapse'),
      placed('/etc/example.org'),
    ];
    expect(placedPaths(merged, files)).toEqual({});
  });
});

describe('paths of a container', () => {
  const { outside, named, unmapped } = containerPaths({
    '/data/': '/srv/files',
    '/data/media': '/mnt/media',
  });

  it('lie where the deepest mount says, and are known by their old name', () => {
    expect(outside('/data/media/x')).toBe('/mnt/media/x');
    expect(outside('/data/homeserver.yaml')).toBe('/srv/files/homeserver.yaml');
    expect(outside('/database/x')).toBe('/database/x');
    expect(named({ path: '/srv/files/x', role: 'other', component: 'config' }).inside).toBe('/data/x');
  });

  it('that are in no volume are told', () => {
    expect(unmapped(['/srv/files/x', '/etc/ssl/ca.pem'])).toEqual([
      expect.stringMatching(/^\/etc\/ssl\/ca\.pem is in no volume/),
    ]);
    expect(containerPaths({}).unmapped(['/etc/x'])).toEqual([]);
  });
});
