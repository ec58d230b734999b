import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { backUp, makeRepository, sampleSource, writeSource, type Fixture } from './fixture.ts';

const run = promisify(execFile);

describe('what others learn', () => {
  it('the host, with every key it holds, opens the index but no pack, manifest, archive or id key', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const hostIdentity = await identityOfHost(fixture);
    const identityFile = join(fixture.directory, 'stolen.txt');
    await writeFile(identityFile, `${hostIdentity}\n`, { mode: 0o600 });

    const opened: Record<string, boolean> = {};
    for await (const { key } of fixture.store.list('')) {
      if (!key.endsWith('.age')) continue;
      opened[key.split('/')[0]!] = await run('age', [
        '-d',
        '-i',
        identityFile,
        '-o',
        '/dev/null',
        join(fixture.root, key),
      ]).then(
        () => true,
        () => false,
      );
    }
    expect(opened).toEqual({ packs: false, manifests: false, archives: false, keys: false, index: true });
    const asHost = await fixture.open({ identities: [new Secret(hostIdentity)] });
    await expect(asHost.manifest(entry.id)).rejects.toMatchObject({ code: 'identity-wrong' });
  });

  it('whoever reads the store finds no content, path, file name or secret in any object', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const writer = await repository.startBackup();
    const canary = 'CanaryInTheCoalMine';
    const parts = await writeSource(writer, {
      dump: Buffer.from(`INSERT ${canary}-dump `.repeat(50)),
      media: { [`local_content/${canary}-path`]: Buffer.from(`${canary}-media`) },
      signingKey: `ed25519 a ${canary}-key`,
    });
    await writer.addStream(Readable.from([Buffer.from(`${canary}-stream`)]));
    await writer.commit({ ...parts, warnings: [`${canary}-warning`] });
    for await (const { key } of fixture.store.list('')) {
      const bytes = Buffer.from(await fixture.store.get(key));
      expect(key + bytes.toString('latin1'), key).not.toContain('Canary');
      expect(bytes.includes(Buffer.from('Canary').toString('base64').slice(0, 8)), key).toBe(false);
      expect(bytes.includes(Buffer.from('Canary').toString('hex')), key).toBe(false);
    }
  });

  it('equal contents have other blob ids, pack names and index names in another repository', async () => {
    await using one = await makeRepository();
    await using two = await makeRepository();
    const source = sampleSource();
    const ids = await Promise.all(
      [one, two].map(async (fixture) => {
        const repository = await fixture.open();
        const { entry } = await backUp(repository, source);
        return (await repository.manifest(entry.id)).database.dumps[0]!.content.blobs;
      }),
    );
    expect(ids[0]!.filter((id) => ids[1]!.includes(id))).toEqual([]);
  });
});

async function identityOfHost(fixture: Fixture): Promise<string> {
  const { index_identity: identity } = JSON.parse(
    await readFile(join(fixture.directory, 'host.key'), 'utf8'),
  ) as { index_identity: string };
  return identity;
}
