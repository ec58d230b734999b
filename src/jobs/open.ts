import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { StorePlace } from '../config/index.ts';
import type { Clock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { openRepository } from '../repository/index.ts';
import type { Repository } from '../repository/port.ts';
import { openStore } from '../storage/open.ts';
import { VERSION } from './version.ts';

/** Where a repository lies, and the files that open it: `Config.repository` is one. */
export interface RepositoryPlace extends StorePlace {
  readonly hostKeyFile?: string | undefined;
  readonly adminKeyFile?: string | undefined;
  readonly identityFile?: string | undefined;
  readonly stateDirectory: string;
}

/** Errors: `repository-missing`, `repository-version`, `repository-damaged`, `identity-missing`, `key-file-mode`. */
export async function openAt(place: RepositoryPlace, clock: Clock): Promise<Repository> {
  const { hostKeyFile, adminKeyFile, identityFile, stateDirectory } = place;
  const identities = identityFile === undefined ? [] : await readIdentities(identityFile);
  const store = await openStore(place);
  return openRepository(store, {
    hostKeyFile,
    adminKeyFile,
    identities,
    stateDirectory,
    clock,
    hostname: hostname(),
    version: VERSION,
  });
}

/** A file as `age-keygen` writes it: identities, one a line, and comments. Errors: `identity-missing`, `key-file-mode`. */
export async function readIdentities(file: string): Promise<Secret[]> {
  const text = await readPrivately(file).catch((error: unknown) => {
    if (isLifeboatError(error)) throw error;
    throw new LifeboatError('identity-missing', `cannot read the identity ${file}: ${messageOf(error)}`, {
      hint: 'Bring the file with the recovery identity that `lifeboat init` showed, and name it with --identity.',
      cause: error,
      context: { file },
    });
  });
  const identities = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith('AGE-SECRET-KEY-1'));
  if (identities.length > 0) return identities.map((identity) => new Secret(identity));
  throw new LifeboatError('identity-missing', `${file} holds no age identity`, {
    hint:
      text.startsWith('age-encryption.org/') || text.startsWith('-----BEGIN AGE')
        ? 'It is protected by a passphrase. Decrypt it with `age -d` into a file that only you can read.'
        : 'It must have a line that begins with AGE-SECRET-KEY-1.',
    context: { file },
  });
}

const GROUP_OR_WORLD = 0o077;

/** It opens every snapshot: nobody else may have it. Pipes (`--identity <(...)`) and terminals have no mode that says anything. */
async function readPrivately(file: string): Promise<string> {
  await using handle = await open(file, 'r');
  const stats = await handle.stat();
  if (stats.isFile() && (stats.mode & GROUP_OR_WORLD) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    throw new LifeboatError('key-file-mode', `identity ${file} has mode ${mode}: others can read it`, {
      hint: [
        `Run \`chmod 600 ${file}\`, and think about who could have read it.`,
        'Where the file system has no modes (FAT on a stick), copy it to one that has.',
      ],
      context: { file },
    });
  }
  return await handle.readFile('utf8');
}
