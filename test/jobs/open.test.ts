import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { openAt } from '../../src/jobs/open.ts';
import { makeRepository, type Fixture } from '../repository/fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await makeRepository();
});

afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

async function openWith(identityFile: string) {
  const { root: path, directory } = fixture;
  return openAt({ path, identityFile, stateDirectory: join(directory, 'state') }, systemClock);
}

async function identityFile(text: string, mode = 0o600): Promise<string> {
  const file = join(fixture.directory, `identity-${mode.toString(8)}`);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

describe('opening a repository', () => {
  it('takes the identity from a file as age-keygen writes it', async () => {
    const file = await identityFile(
      `# created: today\n\n# public key: age1...\n${fixture.identity.reveal()}\r\n`,
    );
    expect((await openWith(file)).canRead).toBe(true);
  });

  it.each([0o640, 0o604, 0o620])('refuses an identity with mode %o', async (mode) => {
    const file = await identityFile(fixture.identity.reveal(), mode);
    await expect(openWith(file)).rejects.toMatchObject({ code: 'key-file-mode', context: { file } });
  });

  it('takes an identity that its owner alone can read', async () => {
    expect((await openWith(await identityFile(fixture.identity.reveal(), 0o400))).canRead).toBe(true);
  });

  it('says of a file without identity what is wrong with it, and quotes nothing of it', async () => {
    const file = await identityFile('my-secret-notes\n');
    const error: unknown = await openWith(file).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'identity-missing', message: `${file} holds no age identity` });
    expect(JSON.stringify(error)).not.toContain('my-secret-notes');
  });

  it('names age for an identity that is protected by a passphrase', async () => {
    const file = await identityFile('age-encryption.org/v1\n-> scrypt AAAA 18\n');
    await expect(openWith(file)).rejects.toMatchObject({
      code: 'identity-missing',
      hints: [expect.stringContaining('age -d')],
    });
  });

  it('says where the identity was looked for', async () => {
    const file = join(fixture.directory, 'nowhere');
    await expect(openWith(file)).rejects.toMatchObject({ code: 'identity-missing', context: { file } });
  });
});
