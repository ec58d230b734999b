import { z } from '../config/zod.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { damagedObject, getSealed, putSealed } from './objects.ts';

/** The id key, `keys/<sha256>.age`: with it a reader who has the data key can compare a blob with its id. */
const schema = z.strictObject({ v: z.literal(1), id_key: z.string().regex(/^[0-9a-f]{64}$/) });

export async function putIdKey(
  store: ObjectStore,
  idKey: Uint8Array,
  dataRecipient: string,
): Promise<string> {
  const content: z.infer<typeof schema> = { v: 1, id_key: Buffer.from(idKey).toString('hex') };
  const { key } = await putSealed(store, 'keys', Buffer.from(JSON.stringify(content)), [dataRecipient]);
  return key;
}

/** Errors: `identity-missing`, `identity-wrong`, `repository-damaged`. */
export async function readIdKey(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
): Promise<Uint8Array> {
  const plaintext = await getSealed(store, key, identities);
  try {
    return Buffer.from(schema.parse(JSON.parse(Buffer.from(plaintext).toString('utf8'))).id_key, 'hex');
  } catch (error) {
    throw damagedObject(key, 'it is not an id key', error);
  }
}
