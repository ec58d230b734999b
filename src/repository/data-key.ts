import { LifeboatError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { damagedObject, getSealed, putSealed } from './objects.ts';
import { recipientOf } from './seal.ts';

/**
 * The data identity: packs, archives, manifests and the id key are sealed to its public half alone, and its secret half is
 * sealed to the recovery recipients, `keys/<sha256>.age`. So another recovery recipient costs one small object, and no data is
 * written again. It exists in memory only: made by `init`, opened by who has a recovery identity.
 */
export interface DataKey {
  readonly identity: Secret;
  readonly recipient: string;
}

/** The text is an identity file as `age-keygen` writes it, for `age -d -i`. Resolves to the object's key. */
export async function putDataKey(
  store: ObjectStore,
  { identity, recipient }: DataKey,
  recoveryRecipients: readonly string[],
): Promise<string> {
  const text = `# public key: ${recipient}\n${identity.reveal()}\n`;
  const { key } = await putSealed(store, 'keys', Buffer.from(text), recoveryRecipients);
  return key;
}

/**
 * Errors: `identity-missing`, `identity-wrong`, `repository-damaged`; also when it is not the key that lifeboat.json names, so
 * that nobody takes another for it.
 */
export async function readDataKey(
  store: ObjectStore,
  key: string,
  dataRecipient: string,
  identities: readonly Secret[],
): Promise<DataKey> {
  const text = Buffer.from(await getSealed(store, key, identities)).toString('utf8');
  const line = /^AGE-SECRET-KEY-1[0-9A-Z]+$/m.exec(text)?.[0];
  if (line === undefined) throw damagedObject(key, 'it does not hold the data key');
  const identity = new Secret(line);
  if ((await recipientOf(line)) === dataRecipient) return { identity, recipient: dataRecipient };
  throw new LifeboatError('repository-damaged', `object ${key} does not hold the data key of lifeboat.json`, {
    hint: 'Somebody with the admin key has put another there: find out who, and use a copy of the repository, or a recovery kit.',
    context: { object: key },
  });
}
