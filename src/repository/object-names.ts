import { createHash, webcrypto } from 'node:crypto';

/**
 * Keys of a repository's objects. Every object but the log and the three plain files is named by the SHA-256 of its own
 * bytes, so that `sha256sum` verifies it without any key.
 */
export const CONFIG_KEY = 'lifeboat.json';
export const LOG_PREFIX = 'log/';

/** Object classes: packs are spread over 256 folders because there may be hundreds of thousands of them. */
export const OBJECT_CLASSES = ['packs', 'index', 'manifests', 'refs', 'archives', 'keys'] as const;
export type ObjectClass = (typeof OBJECT_CLASSES)[number];

const EXTENSION: Readonly<Record<ObjectClass, string>> = {
  packs: '.age',
  index: '.age',
  manifests: '.age',
  refs: '.json.zst',
  archives: '.age',
  keys: '.age',
};

const NAMED_OBJECT =
  /^(?:packs\/([0-9a-f]{2})|index|manifests|refs|archives|keys)\/([0-9a-f]{64})(\.age|\.json\.zst)$/;
const LOG_KEY = /^log\/([0-9]{10})\.json$/;

/** Lower-case hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The same in libuv's thread pool: for objects of some MiB, which would keep the main thread from reading and encrypting. */
export async function sha256HexInPool(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString(
    'hex',
  );
}

export function objectKey(objectClass: ObjectClass, sha256: string): string {
  const folder = objectClass === 'packs' ? `packs/${sha256.slice(0, 2)}` : objectClass;
  return `${folder}/${sha256}${EXTENSION[objectClass]}`;
}

/** The SHA-256 that a key promises, or undefined when no object of ours is called like that. */
export function promisedSha256(key: string): string | undefined {
  const match = NAMED_OBJECT.exec(key);
  const sha256 = match?.[2];
  if (sha256 === undefined) return undefined;
  const objectClass = key.slice(0, key.indexOf('/')) as ObjectClass;
  return objectKey(objectClass, sha256) === key ? sha256 : undefined;
}

export function logKey(seq: number): string {
  return `${LOG_PREFIX}${String(seq).padStart(10, '0')}.json`;
}

/** The sequence number of a log record's key, or undefined for foreign names. */
export function logSeq(key: string): number | undefined {
  const digits = LOG_KEY.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
