import { describe, expect, it } from 'vitest';
import type { LifeboatError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, bytesOf, makeRepository, sampleSource } from './fixture.ts';
import { copyToMemory, createMemoryStore } from './memory-store.ts';

describe('opening a repository', () => {
  it('says that there is none', async () => {
    await using fixture = await makeRepository();
    await expect(fixture.open({}, createMemoryStore())).rejects.toMatchObject({
      code: 'repository-missing',
      exitStatus: 10,
    });
  });

  it.each([
    ['a later format', { format: 2, lifeboat_version: '3.1.0' }, 'has format 2', 'Use lifeboat 3.1.0'],
    [
      'a feature it does not know',
      { requires: ['tiered-packs'], lifeboat_version: '0.9.0' },
      'requires tiered-packs',
      'Use lifeboat 0.9.0',
    ],
  ])('refuses %s, and says which version can', async (_, change, problem, hint) => {
    await using fixture = await makeRepository();
    const store = await changed(fixture.store, change);
    const failure = await fixture.open({}, store).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'repository-version', exitStatus: 10 });
    expect((failure as LifeboatError).message).toContain(problem);
    expect((failure as LifeboatError).hints[0]).toContain(hint);
  });

  it.each([
    ['an unknown field', { colour: 'red' }],
    ['a recipient that is none', { recipients: ['age1x'] }],
    ['no format', { format: undefined }],
  ])('refuses lifeboat.json with %s as damaged', async (_, change) => {
    await using fixture = await makeRepository();
    await expect(fixture.open({}, await changed(fixture.store, change))).rejects.toMatchObject({
      code: 'repository-damaged',
    });
  });

  it('notices a lifeboat.json with an exchanged recipient before anything is encrypted to it', async () => {
    await using fixture = await makeRepository();
    const thief = await generateIdentity();
    const store = await changed(fixture.store, { recipients: [thief.recipient] });
    await expect((await fixture.open({}, store)).startBackup()).rejects.toThrow(
      'lifeboat.json is not the file',
    );
  });
});

describe('reading', () => {
  it('needs an identity, and the right one', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const manifest = await (await fixture.open()).manifest(entry.id);
    const { content } = manifest.database.dumps[0]!;

    const none = await fixture.open({ identities: [] });
    await expect(none.manifest(entry.id)).rejects.toMatchObject({ code: 'identity-missing', exitStatus: 12 });
    await expect(bytesOf(none.read(content))).rejects.toMatchObject({ code: 'identity-missing' });
    await expect(bytesOf(none.readArchive(manifest.keys.archive))).rejects.toMatchObject({
      code: 'identity-missing',
    });

    const wrong = await fixture.open({ identities: [(await generateIdentity()).identity] });
    await expect(wrong.manifest(entry.id)).rejects.toMatchObject({ code: 'identity-wrong', exitStatus: 12 });
    await expect(bytesOf(wrong.read(content))).rejects.toMatchObject({ code: 'identity-wrong' });

    const nonsense = await fixture.open({ identities: [new Secret('my password')] });
    await expect(nonsense.manifest(entry.id)).rejects.toMatchObject({ code: 'identity-wrong' });
  });

  it('fails when a blob is missing or damaged, and never ends early', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const { database } = await (await fixture.open()).manifest(entry.id);
    const { content } = database.dumps[0]!;
    const store = await copyToMemory(fixture.store);
    for (const key of store.objects.keys()) if (key.startsWith('packs/')) store.objects.delete(key);
    await expect(bytesOf((await fixture.open({}, store)).read(content))).rejects.toMatchObject({
      code: 'repository-damaged',
    });
    const repository = await fixture.open();
    await expect(bytesOf(repository.read({ ...content, blobs: content.blobs.slice(1) }))).rejects.toThrow(
      'not what was backed up',
    );
    await expect(bytesOf(repository.read({ ...content, blobs: ['f'.repeat(64)] }))).rejects.toThrow(
      'in no index',
    );
  });

  it('needs no index', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const store = await copyToMemory(fixture.store);
    for (const key of store.objects.keys()) if (key.startsWith('index/')) store.objects.delete(key);
    const repository = await fixture.open({}, store);
    const { database } = await repository.manifest(entry.id);
    expect((await bytesOf(repository.read(database.dumps[0]!.content))).length).toBe(
      database.dumps[0]!.content.sizeBytes,
    );
  });

  it('backs up again when the index is damaged: it costs only uploads', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    await backUp(await fixture.open(), source);
    const store = await copyToMemory(fixture.store);
    for (const key of store.objects.keys())
      if (key.startsWith('index/')) store.objects.set(key, Buffer.from('rot'));
    const second = await backUp(await fixture.open({}, store), source);
    expect(second.newPacks).toBeGreaterThan(0);
  });

  it('resolves names, and refuses what is too short, unknown or ambiguous', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    await expect(repository.resolve('latest')).rejects.toMatchObject({ code: 'snapshot-missing' });
    const { entry } = await backUp(repository, sampleSource());
    for (const name of ['latest', entry.id, entry.id.slice(0, 4)])
      expect((await repository.resolve(name)).id).toBe(entry.id);
    for (const name of ['', entry.id.slice(0, 3), 'ffffffff', 'latest-proven'])
      await expect(repository.resolve(name)).rejects.toMatchObject({ code: 'snapshot-missing' });
    await repository.recordEvidence({ type: 'drill', snapshotId: entry.id, result: 'FAIL', summary: {} });
    await expect(repository.resolve('latest-proven')).rejects.toMatchObject({ code: 'snapshot-missing' });
    await repository.recordEvidence({ type: 'drill', snapshotId: entry.id, result: 'PASS', summary: {} });
    expect((await repository.resolve('latest-proven')).drill?.result).toBe('PASS');
  });
});

async function changed(store: ObjectStore, change: object): Promise<ObjectStore> {
  const copy = await copyToMemory(store);
  const config = JSON.parse(Buffer.from(copy.objects.get('lifeboat.json')!).toString()) as object;
  copy.objects.set('lifeboat.json', Buffer.from(JSON.stringify({ ...config, ...change })));
  return copy;
}
