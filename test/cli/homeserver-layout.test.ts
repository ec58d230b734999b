import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { chooseHomeserver } from '../../src/cli/homeserver-layout.ts';
import { parseConfig, renderConfig } from '../../src/config/index.ts';
import { tree } from '../homeserver/synapse/tree.ts';

const fixture = (name: string) => ({
  directory: '/',
  root: fileURLToPath(new URL(`../fixtures/layouts/${name}`, import.meta.url)),
});

describe('init without a configuration file', () => {
  it('takes the one homeserver that is there', async () => {
    expect(await chooseHomeserver(undefined, undefined, fixture('debian'))).toMatchObject({
      homeserverConfig: ['/etc/matrix-synapse/homeserver.yaml', '/etc/matrix-synapse/conf.d'],
      layout: { layout: 'debian' },
    });
  });

  it('refuses to guess between two, and lets the layout be named', async () => {
    const root = await tree({
      'etc/matrix-synapse/homeserver.yaml': '',
      'opt/synapse/homeserver.yaml': '',
      'opt/synapse/env/bin/synapse_homeserver': '',
    });
    const there = { root, directory: '/' };
    await expect(chooseHomeserver(undefined, undefined, there)).rejects.toMatchObject({
      code: 'usage',
      message:
        '2 homeservers were found: /etc/matrix-synapse/homeserver.yaml (Debian package), /opt/synapse/homeserver.yaml (virtual environment)',
    });
    expect((await chooseHomeserver(undefined, 'venv', there)).homeserverConfig).toEqual([
      '/opt/synapse/homeserver.yaml',
    ]);
    await expect(chooseHomeserver(undefined, 'helm', there)).rejects.toMatchObject({ code: 'usage' });
    await expect(chooseHomeserver(undefined, 'snap', there)).rejects.toMatchObject({
      message: 'there is no layout snap',
    });
  });

  it('knows the mounts of a file that was named, where it belongs to a container, and else just takes it', async () => {
    const [file] = ['/srv/matrix/files/homeserver.yaml'];
    expect((await chooseHomeserver([file], undefined, fixture('compose'))).layout?.paths).toMatchObject({
      '/data': '/srv/matrix/files',
    });
    const debian = ['/etc/matrix-synapse/homeserver.yaml'];
    expect(await chooseHomeserver(debian, undefined, fixture('debian'))).toEqual({
      homeserverConfig: debian,
      layout: undefined,
    });
  });
});

it('what was found stands in a lifeboat.yaml that is valid', async () => {
  const { layout, homeserverConfig } = await chooseHomeserver(undefined, undefined, fixture('ansible'));
  const text = renderConfig({
    homeserverConfig,
    program: undefined,
    paths: layout?.paths,
    container: layout?.container,
    databaseVia: layout?.databaseVia,
    extra: layout?.extra,
    repository: '/srv/lifeboat',
    hostKeyFile: '/etc/host.key',
    adminKeyFile: undefined,
    stateDirectory: '/var/lib/lifeboat',
  });
  expect(await parseConfig(text, '/etc/lifeboat/lifeboat.yaml', {})).toMatchObject({
    database: { via: { container: { tool: 'docker', container: 'matrix-postgres' } } },
    homeserver: {
      config: ['/matrix/synapse/config/homeserver.yaml'],
      paths: { '/matrix-media-store-parent': '/matrix/synapse/storage' },
      container: 'matrix-synapse',
    },
    configuration: { extra: expect.arrayContaining(['/matrix/*/env*']) },
  });
});
