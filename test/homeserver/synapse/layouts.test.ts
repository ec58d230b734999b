import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findSurroundings } from '../../../src/homeserver/index.ts';
import type { Inventory } from '../../../src/homeserver/port.ts';
import { discoverSynapse } from '../../../src/homeserver/synapse/discover.ts';
import { mountsOf } from '../../../src/homeserver/synapse/layouts/ansible.ts';
import {
  findLayouts,
  LAYOUTS,
  layoutOfFile,
  type FoundLayout,
  type LayoutName,
} from '../../../src/homeserver/synapse/layouts/index.ts';
import { tree } from './tree.ts';

/** Roots of machines, made after the documentation of each layout (README.md there). */
const FIXTURES = fileURLToPath(new URL('../../fixtures/layouts', import.meta.url));
const rootOf = (layout: LayoutName) => join(FIXTURES, layout);
/** Where lifeboat is called: a chart's exported files lie anywhere, the others have their places. */
const directoryOf = (layout: LayoutName) => (layout === 'helm' ? '/backup/ess' : '/');

interface Found {
  readonly layout: FoundLayout;
  readonly inventory: Inventory;
  /** `role path`, as on the machine. */
  readonly around: readonly string[];
}

async function examine(name: LayoutName): Promise<Found> {
  const root = rootOf(name);
  const found = await findLayouts(directoryOf(name), root);
  expect(found.map(({ layout }) => layout)).toEqual([name]);
  const layout = found[0]!;
  const mounts = Object.entries(layout.paths ?? { '/': '/' });
  const inventory = await discoverSynapse({
    configFiles: layout.configFiles.map((path) => join(root, path)),
    paths: Object.fromEntries(mounts.map(([inside, outside]) => [inside, join(root, outside)])),
    ...(layout.program === undefined ? {} : { program: join(root, layout.program) }),
  });
  const files = inventory.files.map((file) => ({ ...file, path: file.path.slice(root.length) }));
  const around = await findSurroundings({ ...inventory, files }, root);
  return {
    layout,
    inventory,
    around: around.files.map(({ role, path }) => `${role} ${path.slice(root.length)}`),
  };
}

/** A line of the table in docs/discovery.md. */
function row(name: LayoutName, { layout, inventory, around }: Found): string {
  const root = rootOf(name);
  const here = (path: string) => `\`${path.slice(root.length)}\``;
  const { databaseVia: via } = layout;
  const way =
    via === undefined
      ? ''
      : 'docker' in via
        ? `, by \`docker exec ${via.docker}\``
        : `, by \`kubectl exec ${via.kubectl.pod}\` in ${via.kubectl.namespace}`;
  const version =
    layout.container !== undefined
      ? `asked in the container \`${layout.container}\``
      : layout.program !== undefined
        ? `of \`${layout.program}\``
        : 'of `homeserver.program`, to be named';
  const workers = inventory.files
    .filter(({ role }) => role === 'worker-config')
    .map(({ path }) => here(path));
  const beyond = [
    ...around.map((each) => `\`${each.split(' ')[1]}\``),
    ...(layout.extra ?? []).map((each) => `\`${each}\``),
  ];
  return `| ${[
    layout.title,
    layout.configFiles.map((path) => `\`${path}\``).join(', '),
    here(inventory.mediaStorePath),
    inventory.signingKeys.map(({ file }) => here(file)).join(', '),
    `${inventory.database.database} at ${inventory.database.host}${way}`,
    version,
    workers.join(', ') || 'beside the configuration, in `workers`',
    beyond.join(', ') || '-',
  ].join(' | ')} |`;
}

describe.each(LAYOUTS)('the layout %s', (name) => {
  it('is found, and no other, with everything where it lies on the machine', async () => {
    const { inventory, layout } = await examine(name);
    const root = rootOf(name);
    expect(inventory.serverName).toBe('example.org');
    expect(inventory.signingKeys).toMatchObject([{ keyId: 'ed25519:a_Kcaf' }]);
    for (const { path } of inventory.files) expect(path.startsWith(root), path).toBe(true);
    expect((await stat(inventory.mediaStorePath)).isDirectory(), inventory.mediaStorePath).toBe(true);
    expect(inventory.files.map(({ role }) => role)).toEqual(
      expect.arrayContaining(['homeserver-config', 'log-config', 'signing-key']),
    );
    // By the path that the homeserver knows, the drill finds them again wherever it puts them.
    if (layout.paths !== undefined)
      expect(inventory.files.every(({ inside }) => inside !== undefined)).toBe(true);
    expect(inventory.warnings.filter((text) => !text.includes('no Python interpreter'))).toEqual([]);
  });

  it('is found as docs/discovery.md says', async () => {
    const manual = await readFile(new URL('../../../docs/discovery.md', import.meta.url), 'utf8');
    expect(manual).toContain(row(name, await examine(name)));
  });
});

describe('looking for a layout', () => {
  it('finds nothing on a machine without a homeserver, and two where there are two', async () => {
    expect(await findLayouts('/', await tree({ 'etc/hostname': 'x' }))).toEqual([]);
    const both = await tree({
      'etc/matrix-synapse/homeserver.yaml': '',
      'opt/synapse/homeserver.yaml': '',
      'opt/synapse/env/bin/synapse_homeserver': '',
    });
    expect((await findLayouts('/', both)).map(({ layout }) => layout)).toEqual(['debian', 'venv']);
  });

  it('finds the layout of a configuration file that was named, by what lies above it', async () => {
    const found = await layoutOfFile('/srv/matrix/files/homeserver.yaml', rootOf('compose'));
    expect(found).toMatchObject({
      layout: 'compose',
      paths: { '/data': '/srv/matrix/files', '/data/media_store': '/mnt/media' },
      container: 'matrix-synapse-1',
      databaseVia: { docker: 'matrix-db-1' },
    });
    expect(await layoutOfFile('/etc/other/homeserver.yaml', rootOf('compose'))).toBeUndefined();
  });

  it('takes named volumes of docker compose from where docker keeps them, and names of containers as given', async () => {
    const root = await tree({
      'opt/hs/compose.yaml':
        'name: chat\nservices:\n  hs:\n    container_name: my-hs\n    image: ghcr.io/element-hq/synapse\n    volumes: [{type: volume, source: data, target: /data}]\n',
      'var/lib/docker/volumes/chat_data/_data/homeserver.yaml': '',
    });
    expect(await findLayouts('/', root)).toMatchObject([
      {
        layout: 'compose',
        configFiles: ['/var/lib/docker/volumes/chat_data/_data/homeserver.yaml'],
        paths: { '/data': '/var/lib/docker/volumes/chat_data/_data' },
        container: 'my-hs',
        extra: ['/opt/hs/compose.yaml'],
      },
    ]);
  });

  it('does not take a compose project of something else, or one whose configuration is not there', async () => {
    const root = await tree({
      'srv/a/compose.yaml': 'services: {x: {image: matrixdotorg/synapse-admin, volumes: ["./data:/data"]}}\n',
      'srv/a/data/homeserver.yaml': '',
      'srv/b/compose.yaml': 'services: {x: {image: matrixdotorg/synapse, volumes: ["./data:/data"]}}\n',
      'srv/c/compose.yaml': '"',
    });
    expect(await findLayouts('/', root)).toEqual([]);
  });

  it('reads the mounts of a unit, of either spelling', () => {
    expect(
      mountsOf('-v /a:/b:ro \\\n --mount type=bind,source=/c,target=/d \\\n --mount type=tmpfs,dst=/e'),
    ).toEqual({
      '/b': '/a',
      '/d': '/c',
    });
  });
});
