import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { backUpArchives } from '../../src/jobs/backup-archives.ts';
import { inventoryOf, requireReadable } from '../../src/jobs/inventory.ts';
import { buildArchive, extractArchive } from '../../src/repository/archive.ts';
import type { ArchiveInput, BackupWriter } from '../../src/repository/port.ts';
import { asOrdinaryUser } from './ordinary-user.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lifeboat-inventory-'));
  await chmod(root, 0o755);
  await mkdir(join(root, 'etc'));
  await mkdir(join(root, 'srv'));
  await symlink(join(root, 'srv'), join(root, 'etc/conf.d'));
  await writeFile(
    join(root, 'etc/homeserver.yaml'),
    [
      'server_name: example.org',
      'database: {name: psycopg2, args: {database: synapse}}',
      `media_store_path: ${root}/media`,
      `signing_key_path: ${root}/etc/signing.key`,
      `log_config: ${root}/etc/conf.d/log.yaml`,
    ].join('\n'),
  );
  await writeFile(
    join(root, 'etc/signing.key'),
    'ed25519 a_test 3vxPKcMlkeFtCyCmmh9qyWhQ2DxfKxDP8sCJIQCjjRc\n',
  );
  await writeFile(join(root, 'srv/log.yaml'), 'version: 1\n');
});
afterEach(() => rm(root, { recursive: true }));

function inventory(extra: readonly string[]) {
  const config = {
    homeserver: { kind: 'synapse', config: [join(root, 'etc/homeserver.yaml')], paths: {} },
    configuration: { search: false, extra },
  };
  return inventoryOf(config as unknown as Config);
}

/** What stands in the two archives. */
async function archived(found: Awaited<ReturnType<typeof inventoryOf>>) {
  const archives: ArchiveInput[][] = [];
  const addArchive = (files: readonly ArchiveInput[]) => {
    archives.push([...files]);
    return Promise.resolve({ object: 'archives/x', sizeBytes: 0, files: [] });
  };
  const { warnings } = await backUpArchives(
    found,
    { addArchive } as unknown as BackupWriter,
    () => undefined,
  );
  return { config: archives[1]!, warnings };
}

describe('the files of a backup', () => {
  it('can be restored when a pattern matches a link to a directory that the homeserver reads files through', async () => {
    const found = await inventory([join(root, 'etc')]);
    expect(found.warnings).toContainEqual(
      expect.stringMatching(/etc\/conf\.d is a link, .*conf\.d\/log\.yaml is kept .* the link is left out/),
    );
    const { tar, files } = await buildArchive((await archived(found)).config);
    await extractArchive(tar, files, join(root, 'restored'));
    expect(await readFile(join(root, 'restored', root, 'etc/conf.d/log.yaml'), 'utf8')).toBe('version: 1\n');
  });

  it('are all tried before the dump begins, so that one that is needed and cannot be read fails at once', async () => {
    const found = await inventory([]);
    await chmod(join(root, 'etc/signing.key'), 0o600);
    await chmod(join(root, 'srv/log.yaml'), 0o000);
    await asOrdinaryUser(() =>
      expect(
        requireReadable({ files: found.files.filter(({ component }) => component === 'config') }),
      ).rejects.toMatchObject({
        code: 'file-unreadable',
        message: expect.stringContaining('log.yaml'),
      }),
    );
  });

  it('that a pattern matched may go before they are read, which is a warning; what may not be read fails at once', async () => {
    await mkdir(join(root, 'extra'));
    for (const name of ['stays', 'goes']) await writeFile(join(root, 'extra', name), name);
    const found = await inventory([join(root, 'extra/*')]);
    await rm(join(root, 'extra/goes'));
    await requireReadable(found);
    const { config, warnings } = await archived(found);
    expect(config.map(({ source }) => source)).toContain(join(root, 'extra/stays'));
    expect(warnings).toEqual([expect.stringMatching(/extra\/goes .*ENOENT.*; it is left out$/)]);
    await chmod(join(root, 'extra/stays'), 0o000);
    const extra = { files: found.files.filter(({ role }) => role === 'extra') };
    await asOrdinaryUser(() =>
      expect(requireReadable(extra)).rejects.toMatchObject({ code: 'file-unreadable' }),
    );
  });
});
