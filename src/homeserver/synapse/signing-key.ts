import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signingKeyFromSeed } from '../../core/ed25519.ts';
import { LifeboatError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { PublicSigningKey } from '../../repository/manifest.ts';
import type { SigningKeyEntry } from '../port.ts';
import { parseYaml } from '../../config/yaml.ts';

const SEED_BYTES = 32;
/** One key a line: algorithm, version, 32-byte seed as base64 without padding (signedjson.key.read_signing_keys). */
const KEY_LINE = /^ed25519\s+(\S+)\s+([A-Za-z0-9+/]{43}=?)$/;

/**
 * The keys of a signing key file. Blank lines are allowed, anything else is refused with its line number and never
 * quoted: a mangled key is still a secret. Errors: `homeserver-config-invalid`.
 */
export function parseSigningKeys(text: string, file: string): SigningKeyEntry[] {
  const keys: SigningKeyEntry[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const match = KEY_LINE.exec(line.trim());
    const seed = Buffer.from(match?.[2] ?? '', 'base64');
    if (match === null || seed.length !== SEED_BYTES)
      throw notAKey(file, `${file}:${index + 1} is not a signing key line`);
    keys.push(signingKeyEntry(match[1]!, seed, file));
  }
  if (keys.length === 0) throw notAKey(file, `${file} has no signing key`);
  return keys;
}

/** The keys of a key file, or those that stand inside a homeserver.yaml (none is fine there). Errors: `file-unreadable`, `homeserver-config-invalid`. */
export async function readSigningKeys(path: string, role: string): Promise<SigningKeyEntry[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new LifeboatError('file-unreadable', `cannot read ${path}`, { cause: error });
  });
  if (role === 'signing-key') return parseSigningKeys(text, path);
  const inline = (parseYaml(text, path) as Record<string, unknown> | null)?.['signing_key'];
  return typeof inline === 'string' ? parseSigningKeys(inline, path) : [];
}

function signingKeyEntry(version: string, seed: Uint8Array, file: string): SigningKeyEntry {
  const { publicKey } = signingKeyFromSeed(seed);
  return {
    keyId: `ed25519:${version}`,
    publicKey: unpaddedBase64(publicKey),
    file,
    seed: new Secret(unpaddedBase64(seed)),
  };
}

/** The line as Synapse's `generate_signing_key` writes it, with its end of line. */
export function formatSigningKey({ keyId, seed }: Pick<SigningKeyEntry, 'keyId' | 'seed'>): string {
  return `${keyId.replace(':', ' ')} ${seed.reveal()}\n`;
}

/** `SHA256:` and the unpadded base64 of the digest of the 32-byte public key, in the manner of OpenSSH. */
export function fingerprint({ publicKey }: PublicSigningKey): string {
  return `SHA256:${unpaddedBase64(createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest())}`;
}

/**
 * What a new server of the same name needs when the private keys are lost for good: with it, others can still verify the
 * old events (SYNAPSE.md section 5). `expiredTs`, ms since the epoch: nothing signed later than that is believed.
 */
export function oldSigningKeysBlock(
  keys: readonly PublicSigningKey[],
  expiredTs: number = Date.now(),
): string {
  const lines = keys.map(
    ({ keyId, publicKey }) => `  "${keyId}": { key: "${publicKey}", expired_ts: ${expiredTs} }\n`,
  );
  return `old_signing_keys:\n${lines.join('')}`;
}

function notAKey(file: string, message: string): LifeboatError {
  return new LifeboatError('homeserver-config-invalid', message, {
    hint: 'A signing key file holds lines of the form "ed25519 a_XXXX <43 characters of base64>".',
    context: { file },
  });
}

function unpaddedBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
