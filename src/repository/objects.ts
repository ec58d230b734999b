import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { objectKey, promisedSha256, sha256HexInPool, type ObjectClass } from './object-names.ts';
import { seal, unsealOwned } from './seal.ts';

export interface PutResult {
  readonly key: string;
  readonly sizeBytes: number;
  /** Bytes that were really written: 0 when the object was there already. */
  readonly storedBytes: number;
}

/** Stores bytes under the name of their own hash. */
export async function putNamed(
  store: ObjectStore,
  objectClass: ObjectClass,
  bytes: Uint8Array,
): Promise<PutResult> {
  const key = objectKey(objectClass, await sha256HexInPool(bytes));
  const result = await store.put(key, bytes);
  return { key, sizeBytes: bytes.length, storedBytes: result === 'created' ? bytes.length : 0 };
}

/** Encrypts to the recipients, and stores the age file. */
export async function putSealed(
  store: ObjectStore,
  objectClass: ObjectClass,
  plaintext: Uint8Array,
  recipients: readonly string[],
): Promise<PutResult> {
  return putNamed(store, objectClass, await seal(plaintext, recipients));
}

/** Bytes whose hash is the one in the name. Errors: `repository-damaged` when it is not, or when the object is gone. */
export async function getNamed(store: ObjectStore, key: string): Promise<Uint8Array<ArrayBuffer>> {
  const promised = promisedSha256(key);
  if (promised === undefined)
    throw new LifeboatError('repository-damaged', `${key} is not the name of a repository object`);
  const bytes = await store.get(key).catch((error: unknown) => {
    throw isLifeboatError(error, 'object-missing') ? missingObject(store, key, error) : error;
  });
  if ((await sha256HexInPool(bytes)) !== promised)
    throw damagedObject(key, 'its bytes do not have the hash in its name');
  return bytes;
}

/** The plaintext of an age file. Errors: `repository-damaged`, `identity-missing`, `identity-wrong`. */
export async function getSealed(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
): Promise<Uint8Array> {
  requireIdentity(key, identities);
  return unsealOwned(
    await getNamed(store, key),
    identities.map((identity) => identity.reveal()),
  );
}

/** Errors: `identity-missing`. */
function requireIdentity(key: string, identities: readonly Secret[]): void {
  if (identities.length > 0) return;
  throw new LifeboatError('identity-missing', `${key} is encrypted, and no recovery identity was given`, {
    hint: 'Give the file with the recovery identity that `lifeboat init` showed: --identity FILE.',
    context: { object: key },
  });
}

export function missingObject(store: ObjectStore, key: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', `object ${key} is missing from ${store.location}`, {
    cause,
    hint: 'If its snapshot was forgotten and pruned meanwhile, choose another; otherwise run `lifeboat check` and restore from a second repository.',
    context: { object: key },
  });
}

export function damagedObject(key: string, problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', `object ${key} is damaged: ${problem}`, {
    cause,
    hint: 'Run `lifeboat check --read-data` to see which snapshots are affected.',
    context: { object: key },
  });
}
