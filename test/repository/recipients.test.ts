import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { isLifeboatError, type LifeboatError } from '../../src/core/errors.ts';
import type { Secret } from '../../src/core/secret.ts';
import { replicate } from '../../src/repository/replicate.ts';
import { generateIdentity, recipientOf, seal } from '../../src/repository/seal.ts';
import { sha256Hex } from '../../src/repository/object-names.ts';
import { putNamed } from '../../src/repository/objects.ts';
import { openLog } from '../../src/repository/log.ts';
import { readAdminKey } from '../../src/repository/key-files.ts';
import { decodeConfig } from '../../src/repository/config-file.ts';
import { backUp, makeRepository, readBack, sampleSource, type Fixture } from './fixture.ts';
import { aroundPut, copyToMemory, createMemoryStore, flipBit, listAll } from './memory-store.ts';

const NOW = { dryRun: false, graceMs: 0 };
const ALL = { readData: 'all', decrypt: true } as const;

interface Pair {
  readonly identity: Secret;
  readonly recipient: string;
}

/** As who has only this identity, and no other key. */
function openAs(fixture: Fixture, { identity }: Pair, store = fixture.store) {
  return fixture.open({ identities: [identity], hostKeyFile: undefined, adminKeyFile: undefined }, store);
}

async function failure(promise: Promise<unknown>): Promise<LifeboatError> {
  const error: unknown = await promise.catch((thrown: unknown) => thrown);
  if (isLifeboatError(error)) return error;
  throw new Error('it did not fail as lifeboat fails', { cause: error });
}

describe('adding a recovery recipient', () => {
  it('lets it open old and new snapshots alone, and writes one small object and one record', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const sources = [sampleSource('old'), sampleSource('new')];
    const { entry: old } = await backUp(repository, sources[0]!);
    const before = (await listAll(fixture.store)).map(({ key }) => key);

    const added = await generateIdentity();
    const list = await repository.addRecipients([added.recipient]);
    expect(list).toEqual([
      { recipient: await recipientOf(fixture.identity.reveal()), since: 1 },
      { recipient: added.recipient, since: 3 },
    ]);
    const written = (await listAll(fixture.store)).filter(({ key }) => !before.includes(key));
    expect(written.map(({ key }) => key.split('/')[0]).toSorted()).toEqual(['keys', 'log']);
    for (const { sizeBytes } of written) expect(sizeBytes).toBeLessThan(1500);

    const { entry: recent } = await backUp(await fixture.open(), sources[1]!);
    for (const opened of [await openAs(fixture, added), await fixture.open()]) {
      expect(await readBack(opened, old.id)).toEqual(sources[0]);
      expect(await readBack(opened, recent.id)).toEqual(sources[1]);
      expect(await opened.check(ALL)).toMatchObject({ ok: true, findings: [] });
      expect((await opened.keys()).recipients).toEqual(list);
    }
  });

  it('can be done by whom it was done for, and needs the admin key and an identity that opens', async () => {
    await using fixture = await makeRepository();
    const [second, third, stranger] = await Promise.all([1, 2, 3].map(() => generateIdentity()));
    await (await fixture.open()).addRecipients([second!.recipient]);
    const bySecond = await fixture.open({ identities: [second!.identity] });
    expect(await bySecond.addRecipients([third!.recipient])).toHaveLength(3);

    const { length } = await listAll(fixture.store);
    for (const [code, options] of [
      ['admin-key-missing', { adminKeyFile: undefined }],
      ['identity-missing', { identities: [] }],
      ['identity-wrong', { identities: [stranger!.identity] }],
    ] as const) {
      const adding = (await fixture.open(options)).addRecipients([stranger!.recipient]);
      await expect(adding).rejects.toMatchObject({ code });
    }
    expect(await listAll(fixture.store)).toHaveLength(length);
  });

  it('refuses what is no recipient, and repeats nothing that could be secret', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const known = await recipientOf(fixture.identity.reveal());
    const { identity, recipient } = await generateIdentity();
    const other = recipient.at(-1) === 'q' ? 'p' : 'q';
    const secret = identity.reveal();
    for (const [given, problem] of [
      [[known], `${known} is a recovery recipient already`],
      [[recipient, recipient], 'is given twice'],
      [[`${recipient.slice(0, -1)}${other}`], 'is misspelt'],
      [[recipient.slice(0, -1)], 'is not an age X25519 recipient'],
      [[`age1${'q'.repeat(58)}`], 'is misspelt'],
      [[recipient, 'ssh-ed25519 AAAA'], 'recipient 2 is not an age X25519 recipient'],
      [[`age1pq1${'q'.repeat(1900)}`], 'post-quantum'],
      [[recipient, `age1tagpq1${'q'.repeat(1900)}`], 'post-quantum'],
      [[secret], 'is a secret key'],
      [[` ${secret.toLowerCase()}\n`], 'is a secret key'],
      [[recipient, secret.slice('AGE-'.length)], 'recipient 2 is a secret key'],
      [[secret.slice('AGE-SECRET-KEY-'.length)], 'the recipient is not an age X25519 recipient'],
    ] as const) {
      for (const change of [repository.addRecipients, repository.removeRecipients]) {
        if (change === repository.removeRecipients && given[0] === known) continue;
        const { code, message, hints, context } = await failure(change(given));
        expect([code, message]).toEqual(['recipient-invalid', expect.stringContaining(problem)]);
        const told = `${message} ${hints.join(' ')} ${JSON.stringify(context)}`.toUpperCase();
        expect(told).not.toContain(secret.slice(-30));
      }
    }
    expect((await repository.keys()).recipients).toEqual([{ recipient: known, since: 1 }]);
  });

  it('is built upon another change that was made meanwhile, not instead of it', async () => {
    await using fixture = await makeRepository();
    const [one, two] = (await Promise.all([1, 2].map(() => generateIdentity()))) as [Pair, Pair];
    let raced = false;
    const racing = aroundPut(fixture.store, async (key, put) => {
      if (key.startsWith('log/') && !raced) {
        raced = true;
        await (await fixture.open()).addRecipients([two.recipient]);
      }
      return put();
    });
    const list = await (await fixture.open({}, racing)).addRecipients([one.recipient]);
    expect(list.map(({ recipient }) => recipient).slice(1)).toEqual([two.recipient, one.recipient]);
    for (const pair of [one, two]) expect((await (await openAs(fixture, pair)).check(ALL)).ok).toBe(true);
  });

  it('never names an object that a prune has taken for garbage before the record was there', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const pair = await generateIdentity();
    let pruned = 0;
    const racing = aroundPut(fixture.store, async (key, put) => {
      if (key.startsWith('log/') && pruned === 0)
        pruned = (await (await fixture.open()).prune(NOW)).deletedObjects;
      return put();
    });
    await (await fixture.open({}, racing)).addRecipients([pair.recipient]);
    expect(pruned).toBe(1);
    expect(await readBack(await openAs(fixture, pair), entry.id)).toEqual(source);
  });

  it('goes with the copies, to which nobody can be added', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const copy = createMemoryStore();
    await replicate(fixture.store, copy);
    const pair = await generateIdentity();
    await (await fixture.open()).addRecipients([pair.recipient]);
    expect(await replicate(fixture.store, copy)).toMatchObject({ copiedObjects: 1 });
    await (await fixture.open()).prune(NOW);
    expect(await replicate(fixture.store, copy)).toMatchObject({ deletedObjects: 1 });
    expect(await readBack(await openAs(fixture, pair, copy), entry.id)).toEqual(source);
  });
});

describe('removing a recovery recipient', () => {
  it('seals the data key anew for those who stay, and says to the removed who can open it', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const first = { identity: fixture.identity, recipient: await recipientOf(fixture.identity.reveal()) };
    const second = await generateIdentity();
    await (await fixture.open()).addRecipients([second.recipient]);
    expect(await (await fixture.open()).removeRecipients([first.recipient])).toEqual([
      { recipient: second.recipient, since: 3 },
    ]);
    expect(await readBack(await openAs(fixture, second), entry.id)).toEqual(source);
    const { code, message } = await failure((await openAs(fixture, first)).manifest(entry.id));
    expect(code).toBe('identity-wrong');
    expect(message).toContain(`given is that of ${first.recipient} (removed by record 4)`);
    expect(message).toContain(`needed that of ${second.recipient}`);

    const back = await fixture.open({ identities: [second.identity] });
    expect((await back.addRecipients([first.recipient])).map(({ since }) => since)).toEqual([3, 5]);
    expect(await readBack(await openAs(fixture, first), entry.id)).toEqual(source);
  });

  it('refuses the last one, and one that is none', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const last = await recipientOf(fixture.identity.reveal());
    const { recipient } = await generateIdentity();
    await expect(repository.removeRecipients([last])).rejects.toThrow('nobody could open the repository');
    await expect(repository.removeRecipients([recipient])).rejects.toThrow('is no recovery recipient');
    expect(await listAll(fixture.store, 'log/')).toHaveLength(1);
  });
});

describe('the sealed data key', () => {
  it('is kept by prune while it is in force, and collected when it is superseded', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    await repository.addRecipients([(await generateIdentity()).recipient]);
    await repository.addRecipients([(await generateIdentity()).recipient]);
    expect(await listAll(fixture.store, 'keys/')).toHaveLength(4);
    expect(await repository.prune(NOW)).toMatchObject({ deletedObjects: 2 });
    const { dataKeyObject } = await repository.keys();
    const kept = (await listAll(fixture.store, 'keys/')).map(({ key }) => key);
    expect(kept).toHaveLength(2);
    expect(kept).toContain(dataKeyObject);
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
  });

  it('is missed and verified by check without any key, also before the first snapshot', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const superseded = (await repository.keys()).dataKeyObject;
    await repository.addRecipients([(await generateIdentity()).recipient]);
    const { dataKeyObject } = await repository.keys();
    const findings = async (key: string, bytes: Uint8Array | undefined) => {
      const store = await copyToMemory(fixture.store);
      if (bytes === undefined) store.objects.delete(key);
      else store.objects.set(key, bytes);
      const other = await fixture.open(
        { identities: [], stateDirectory: join(fixture.directory, 's2') },
        store,
      );
      return (await other.check({ readData: 'none' })).findings;
    };
    const damaged = flipBit(await fixture.store.get(dataKeyObject), 3000);
    for (const bytes of [undefined, damaged, damaged.subarray(0, 9)])
      expect(await findings(dataKeyObject, bytes)).toMatchObject([
        {
          object: dataKeyObject,
          consequence: expect.stringContaining('no recovery identity opens anything'),
        },
      ]);
    expect(await findings(superseded, damaged)).toMatchObject([
      { consequence: expect.stringContaining('prune removes it') },
    ]);
    expect(await findings(superseded, undefined)).toEqual([]);
  });

  it('is not believed when the admin key has put another there', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const recipient = await recipientOf(fixture.identity.reveal());
    const other = await generateIdentity();
    for (const text of ['nonsense', `${other.identity.reveal()}\n`]) {
      const { key } = await putNamed(fixture.store, 'keys', await seal(Buffer.from(text), [recipient]));
      await recordDataKey(fixture, recipient, key);
      await expect((await fixture.open()).manifest(entry.id)).rejects.toMatchObject({
        code: 'repository-damaged',
        message: expect.stringContaining(key),
      });
    }
  });
});

/** What nobody but a thief of the admin key does. */
async function recordDataKey(fixture: Fixture, recipient: string, object: string): Promise<void> {
  const bytes = await fixture.store.get('lifeboat.json');
  const config = decodeConfig(bytes, fixture.store.location);
  const admin = await readAdminKey(join(fixture.directory, 'admin.key'), config.repo_id, config.admin_pub);
  const log = openLog({
    store: fixture.store,
    repositoryId: config.repo_id,
    configSha256: sha256Hex(bytes),
    publicKeys: { host: Buffer.from(config.host_pub, 'hex'), admin: Buffer.from(config.admin_pub, 'hex') },
    savedHeadPath: join(fixture.directory, 'thief'),
    clock: systemClock,
  });
  await log.refresh();
  await log.append({ type: 'recipients', recipients: [recipient], data_key: object }, admin);
}
