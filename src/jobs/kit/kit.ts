import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { LifeboatError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import type { Repository } from '../../repository/port.ts';
import { recipientOf } from '../../repository/seal.ts';
import { ensurePrivateDirectory, writeDurably } from '../../storage/durable-file.ts';
import { bundle, type BundledFile } from '../../verify/report/index.ts';
import { VERSION } from '../version.ts';
import type { KitFacts, KitIdentity, KitLocation } from './facts.ts';
import { renderPage } from './page.ts';
import { renderReadme, renderSigningKeys } from './readme.ts';

export interface KitOptions {
  /** Opened with the identities, if there are any. */
  readonly repository: Repository;
  /** To be put into the kit; none: only what is public. */
  readonly identities: readonly Secret[];
  readonly copies: readonly KitLocation[];
  /** A new file. */
  readonly output: string;
  readonly clock: Clock;
}

export interface KitOutcome {
  readonly file: string;
  /** Whose identities are in it. */
  readonly recipients: readonly string[];
  /** Whether the public signing keys of the homeserver are. */
  readonly signingKeys: boolean;
}

/**
 * Writes the recovery kit, a zip of mode 0600, whole or not at all.
 * Errors: `repository-exists` (there is such a file), `identity-wrong`, `repository-damaged`, `file-unwritable`, `disk-full`.
 */
export async function makeKit(options: KitOptions): Promise<KitOutcome> {
  const { repository, clock } = options;
  if (options.identities.length > 0) await repository.requireReadable();
  const objects = await repository.recoveryFiles();
  const made = clock.now().toISOString();
  const newest = (await repository.snapshots()).at(-1);
  const manifest =
    newest !== undefined && repository.canRead ? await repository.manifest(newest.id) : undefined;
  const keys = await repository.keys();
  const facts: KitFacts = {
    made,
    version: VERSION,
    serverName: newest?.serverName,
    repositoryId: repository.id,
    locations: [{ name: 'repository', place: repository.location }, ...options.copies],
    keys,
    identities: await openingOnes(options.identities, keys.recipients),
    signingKeys: manifest?.keys,
    hashes: Object.fromEntries([...objects].map(([name, bytes]) => [name, sha256(bytes)])),
  };
  const files: BundledFile[] = [
    { name: 'README.txt', body: renderReadme(facts) },
    { name: 'kit.html', body: await renderPage(facts) },
    ...[...objects].map(([name, body]) => ({ name, body })),
  ];
  if (facts.identities.length > 0) files.push({ name: 'identity.txt', body: identityFile(facts) });
  if (manifest !== undefined)
    files.push({ name: 'signing-keys.txt', body: renderSigningKeys(manifest.keys) });

  const file = resolve(options.output);
  await ensurePrivateDirectory(dirname(file));
  if ((await writeDurably(file, await bundle(files, made), { mode: 0o600, exclusive: true })) === 'exists')
    throw new LifeboatError('repository-exists', `${file} exists already`, {
      hint: 'Name another file: a kit is never written over.',
      context: { file },
    });
  return {
    file,
    recipients: facts.identities.map(({ recipient }) => recipient),
    signingKeys: manifest !== undefined,
  };
}

/** A file may hold identities for other things: they are nobody's business here. */
async function openingOnes(
  identities: readonly Secret[],
  recipients: KitFacts['keys']['recipients'],
): Promise<KitIdentity[]> {
  const named = await Promise.all(
    identities.map(async (identity) => ({ identity, recipient: await recipientOf(identity.reveal()) })),
  );
  return named.filter((one) => recipients.some(({ recipient }) => recipient === one.recipient));
}

/** As `age-keygen` writes it. */
function identityFile({ made, identities }: KitFacts): string {
  const texts = identities.map(
    ({ identity, recipient }) => `# public key: ${recipient}\n${identity.reveal()}\n`,
  );
  return `# written: ${made}\n${texts.join('')}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
