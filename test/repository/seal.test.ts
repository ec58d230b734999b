import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decrypter, Encrypter, generateHybridIdentity } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isLifeboatError } from '../../src/core/errors.ts';
import { generateIdentity, recipientOf, seal, unseal } from '../../src/repository/seal.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

const SIZES = [0, 1, 15, 65_535, 65_536, 65_537, 131_072, 1_048_576];

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-seal-'));
const keyFile = join(folder, 'identity');
let identity = '';
let recipient = '';

beforeAll(async () => {
  const pair = await generateIdentity();
  identity = pair.identity.reveal();
  recipient = pair.recipient;
  writeFileSync(keyFile, `${identity}\n`, { mode: 0o600 });
});

afterAll(() => rmSync(folder, { recursive: true }));

function age(args: readonly string[], input: Uint8Array): Uint8Array {
  const run = spawnSync('age', args, { input, maxBuffer: 1 << 24 });
  if (run.status !== 0) throw new Error(`age failed: ${run.error?.message ?? run.stderr.toString()}`);
  return run.stdout;
}

function same(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

describe('seal and unseal', () => {
  it.each(SIZES)('give %i bytes back', async (size) => {
    const plaintext = randomBytes(size);
    same(await unseal(await seal(plaintext, [recipient]), [identity]), plaintext);
  });

  it('never write the same file twice', async () => {
    const plaintext = Buffer.from('the same');
    const [first, second] = [await seal(plaintext, [recipient]), await seal(plaintext, [recipient])];
    expect(Buffer.compare(first, second)).not.toBe(0);
  });

  it('open with each of several recipients, and whatever else is in the list of identities', async () => {
    const other = await generateIdentity();
    const stranger = await generateIdentity();
    const plaintext = randomBytes(1000);
    const file = await seal(plaintext, [recipient, other.recipient]);
    same(await unseal(file, [identity]), plaintext);
    same(await unseal(file, [stranger.identity.reveal(), `${other.identity.reveal()}\n`]), plaintext);
  });

  it('accept a file that is a window into larger memory', async () => {
    const plaintext = randomBytes(100_000);
    const file = await seal(plaintext.subarray(10, 90_000), [recipient]);
    const window = Buffer.concat([randomBytes(7), file, randomBytes(9)]).subarray(7, 7 + file.length);
    same(await unseal(window, [identity]), plaintext.subarray(10, 90_000));
  });
});

describe('the age command', () => {
  it.each(SIZES)('reads what we seal, and we read what it seals: %i bytes', async (size) => {
    const plaintext = randomBytes(size);
    same(age(['-d', '-i', keyFile], await seal(plaintext, [recipient])), plaintext);
    same(await unseal(age(['-r', recipient], plaintext), [identity]), plaintext);
  });
});

describe('age-encryption', () => {
  it.each(SIZES)('reads what we seal, and we read what it seals: %i bytes', async (size) => {
    const plaintext = randomBytes(size);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    same(await decrypter.decrypt(await seal(plaintext, [recipient])), plaintext);
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    same(await unseal(await encrypter.encrypt(plaintext), [identity]), plaintext);
  });
});

describe('damage', () => {
  it('is detected for every flipped bit of a file', async () => {
    const file = await seal(randomBytes(280), [recipient]);
    const undetected: number[] = [];
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const flipped = Uint8Array.from(file);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const error = await unseal(flipped, [identity]).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!isLifeboatError(error, 'repository-damaged') && !isLifeboatError(error, 'identity-wrong'))
        undetected.push(bit);
    }
    expect(file.length).toBeGreaterThan(450);
    expect(undetected).toEqual([]);
  });

  it('is detected for every length that a file can be cut to', async () => {
    const file = await seal(randomBytes(280), [recipient]);
    for (let length = 0; length < file.length; length += 1) {
      await expect(unseal(file.subarray(0, length), [identity])).rejects.toMatchObject({
        code: 'repository-damaged',
      });
    }
  });

  it.each([
    ['its last chunk is missing', (chunks: Uint8Array[]) => chunks.slice(0, 3)],
    ['a middle chunk is missing', (chunks: Uint8Array[]) => [chunks[0]!, ...chunks.slice(2)]],
    ['two chunks are swapped', (chunks: Uint8Array[]) => [chunks[0]!, chunks[2]!, chunks[1]!, chunks[3]!]],
    ['a chunk is there twice', (chunks: Uint8Array[]) => [chunks[0]!, chunks[1]!, ...chunks.slice(1)]],
    ['something is appended', (chunks: Uint8Array[]) => [...chunks, Buffer.from([0])]],
  ])('is detected when %s', async (_, rearrange) => {
    const file = await seal(randomBytes(3 * 65_536 + 100), [recipient]);
    const start = file.length - 3 * 65_552 - 116;
    const cuts = [start, start + 65_552, start + 2 * 65_552, start + 3 * 65_552, file.length];
    const chunks = cuts.slice(1).map((end, i) => file.subarray(cuts[i], end));
    const broken = Buffer.concat([file.subarray(0, start), ...rearrange(chunks)]);
    await expect(unseal(broken, [identity])).rejects.toMatchObject({ code: 'repository-damaged' });
  });
});

describe('keys', () => {
  it('are refused when they belong to somebody else', async () => {
    const stranger = await generateIdentity();
    const file = await seal(randomBytes(10), [recipient]);
    await expect(unseal(file, [stranger.identity.reveal()])).rejects.toMatchObject({
      code: 'identity-wrong',
    });
    await expect(unseal(file, [])).rejects.toMatchObject({ code: 'identity-wrong' });
  });

  it('are never quoted when they are malformed', async () => {
    const broken = `${identity.slice(0, -1)}!`;
    const error = await unseal(await seal(randomBytes(10), [recipient]), [broken]).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'identity-wrong' });
    expect(JSON.stringify(error) + String(error)).not.toContain(identity.slice(20, 40));
    await expect(recipientOf(broken)).rejects.toMatchObject({
      code: 'identity-wrong',
      message: 'not an age identity',
    });
  });

  it('make the same recipient as age-keygen says', async () => {
    const said = spawnSync('age-keygen', ['-y', keyFile]).stdout.toString().trim();
    expect(recipient).toBe(said);
    expect(await recipientOf(identity)).toBe(said);
  });

  it('of the post-quantum kind seal and open, but not together with classic ones', async () => {
    const hybrid = await generateHybridIdentity();
    const hybridRecipient = await recipientOf(hybrid);
    same(await unseal(await seal(Buffer.from('x'), [hybridRecipient]), [hybrid]), Buffer.from('x'));
    await expect(seal(Buffer.from('x'), [hybridRecipient, recipient])).rejects.toMatchObject({
      code: 'recipient-invalid',
    });
  });

  it.each([
    ['no recipient', []],
    ['a malformed recipient', ['age1qqq']],
    ['something else than a recipient', ['ssh-ed25519 AAAA']],
  ])('are refused: %s', async (_, recipients) => {
    await expect(seal(Buffer.from('x'), recipients)).rejects.toMatchObject({ code: 'recipient-invalid' });
  });
});
