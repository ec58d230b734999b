import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { LifeboatError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { PAYLOAD_OVERHEAD, sealPayload } from './seal-payload.ts';
import { inWorker } from './worker-pool.ts';

/**
 * Whole age v1 files (C2SP age specification), readable by `age -d`. Headers come from age-encryption; the payload is ours
 * because node:crypto is several times as fast as the JavaScript cipher of that library, which a restore of media feels.
 */
/** Encrypts to every recipient (`age1...`). Errors: `recipient-invalid` for none, malformed or mixed recipients. */
export async function seal(plaintext: Uint8Array, recipients: readonly string[]): Promise<Uint8Array> {
  const { header, fileKey } = await newHeader(recipients);
  return sealPayload(header, fileKey, plaintext);
}

/**
 * Decrypts a whole file, which is left as it is. Errors: `identity-wrong` when no identity opens the header, `repository-damaged` for anything else
 * that is not as it was written. Damage inside a recipient's stanza cannot be told from a foreign key: compare the hash of
 * the object with its name first.
 */
export async function unseal(file: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  return unsealOwned(Uint8Array.from(file), identities);
}

/** The same in less memory and in a worker thread, for a buffer that nobody needs afterwards: it is not there any more. */
export async function unsealOwned(
  file: Uint8Array<ArrayBuffer>,
  identities: readonly string[],
): Promise<Uint8Array> {
  const headerBytes = headerLength(file);
  if (headerBytes === undefined) throw damaged('not an age file, or cut inside its header');
  const fileKey = await openHeader(file.subarray(0, headerBytes), identities);
  return (await inWorker({ kind: 'open', bytes: file, headerBytes, fileKey })).bytes;
}

/** What the beginning of an age file says: enough to open any part of its payload. */
export interface OpenHeader {
  readonly fileKey: Uint8Array;
  /** Of the payload. */
  readonly nonce: Uint8Array;
  readonly headerBytes: number;
}

/** Undefined when the header goes on behind these bytes. Errors: as `unseal`. */
export async function readHeader(
  start: Uint8Array,
  identities: readonly string[],
): Promise<OpenHeader | undefined> {
  const headerBytes = headerLength(start);
  const end = headerBytes === undefined ? Infinity : headerBytes + PAYLOAD_OVERHEAD.nonce;
  if (headerBytes === undefined || end > start.length) return undefined;
  const fileKey = await openHeader(start.subarray(0, headerBytes), identities);
  return { fileKey, nonce: start.slice(headerBytes, end), headerBytes };
}

/** A new X25519 key pair; the identity opens what is sealed to the recipient. */
export async function generateIdentity(): Promise<{ identity: Secret; recipient: string }> {
  const identity = new Secret(await generateX25519Identity());
  return { identity, recipient: await recipientOf(identity.reveal()) };
}

/** The recipient (`age1...`) of an identity (`AGE-SECRET-KEY-...`). Errors: `identity-wrong`. */
export async function recipientOf(identity: string): Promise<string> {
  try {
    return await identityToRecipient(identity);
  } catch {
    // The library's message could quote the key.
    throw malformedIdentity();
  }
}

/** A new file key, and the header that hides it from everybody but the recipients. Errors: as `seal`. */
export async function newHeader(
  recipients: readonly string[],
): Promise<{ header: Uint8Array; fileKey: Uint8Array }> {
  requireUniform(recipients);
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new LifeboatError('recipient-invalid', `not an age recipient: ${JSON.stringify(recipient)}`, {
        cause,
      });
    }
  }
  let fileKey: Uint8Array | undefined;
  // Sees the file key like any recipient and adds no stanza (public interface `Recipient` of age-encryption).
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  // A recipient that is a point of low order is only found out here.
  const empty = await encrypter.encrypt(new Uint8Array()).catch((cause: unknown) => {
    throw new LifeboatError(
      'recipient-invalid',
      `cannot seal to the age recipients ${recipients.join(', ')}`,
      {
        cause,
      },
    );
  });
  if (fileKey === undefined)
    throw new LifeboatError('internal', 'age-encryption made a header without a file key');
  return { header: empty.subarray(0, empty.length - PAYLOAD_OVERHEAD.nonce - PAYLOAD_OVERHEAD.tag), fileKey };
}

/** age refuses files for both kinds, because the classic recipient would undo what the post-quantum one is for; the library does not. */
function requireUniform(recipients: readonly string[]): void {
  if (recipients.length === 0) throw new LifeboatError('recipient-invalid', 'no age recipient to seal to');
  const postQuantum = recipients.filter((recipient) => /^age1(pq|tagpq)1/.test(recipient));
  if (postQuantum.length === 0 || postQuantum.length === recipients.length) return;
  throw new LifeboatError('recipient-invalid', 'post-quantum and classic age recipients are mixed', {
    hint: 'Use recipients of one kind only: all `age1pq1...` or all `age1...`.',
  });
}

async function openHeader(header: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity.trim());
    } catch {
      throw malformedIdentity();
    }
  }
  try {
    return await decrypter.decryptHeader(header);
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith('no identity matched')) {
      throw new LifeboatError('identity-wrong', 'none of the given identities opens this age file', {
        hint: 'Give the recovery identity whose recipient is listed by `lifeboat keys`.',
      });
    }
    throw damaged('age header is damaged', cause);
  }
}

/** Up to the newline behind the MAC line; undefined when that is not there. No other line of a header starts with `---`. */
function headerLength(file: Uint8Array): number | undefined {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const macLine = bytes.indexOf('\n--- ');
  const end = macLine === -1 ? -1 : bytes.indexOf('\n', macLine + 1);
  return end === -1 ? undefined : end + 1;
}

function damaged(problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', problem, { cause });
}

function malformedIdentity(): LifeboatError {
  return new LifeboatError('identity-wrong', 'not an age identity', {
    hint: 'An identity is one line that starts with `AGE-SECRET-KEY-`.',
  });
}
