import { canonicalBytes } from '../../core/canonical-json.ts';
import { verifyEd25519, type SigningKey } from '../../core/ed25519.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { contentHash } from './hashes.ts';
import { asObject, asText, without, type JsonObject } from './json.ts';
import { redact } from './redact.ts';
import type { RoomVersion } from './room-versions.ts';

/** Somebody who signs: a server's name, one of its key ids (`ed25519:a_Kcaf`), and the key. */
export interface Signer {
  readonly name: string;
  readonly keyId: string;
  readonly key: SigningKey;
}

/** Adds one signature (specification, appendices, "Signing JSON"); those that are there stay. */
export function signJson(object: JsonObject, signer: Signer): JsonObject {
  return addSignature(object, signer, signature(object, signer));
}

/** True when `name` has signed the object with the key of that id. */
export function verifyJson(object: JsonObject, name: string, keyId: string, publicKey: Uint8Array): boolean {
  const found = signaturesOf(object, name)[keyId];
  const bytes = found === undefined ? undefined : decodeBase64(found);
  return bytes !== undefined && verifyEd25519(publicKey, signedBytes(object), bytes);
}

/** Adds the content hash and a signature over the redacted form. */
export function signEvent(event: JsonObject, version: RoomVersion, signer: Signer): JsonObject {
  const hashed = { ...event, hashes: { ...asObject(event['hashes']), sha256: contentHash(event) } };
  return addSignature(hashed, signer, signature(redact(hashed, version), signer));
}

export function verifyEventSignature(
  event: JsonObject,
  version: RoomVersion,
  name: string,
  keyId: string,
  publicKey: Uint8Array,
): boolean {
  return verifyJson(redact(event, version), name, keyId, publicKey);
}

/** Key id -> signature, of one server. */
export function signaturesOf(object: JsonObject, name: string): Readonly<Record<string, string>> {
  const all = asObject(object['signatures']) ?? {};
  const own = Object.hasOwn(all, name) ? asObject(all[name]) : undefined;
  return Object.fromEntries(
    Object.entries(own ?? {}).filter((entry): entry is [string, string] => asText(entry[1]) !== undefined),
  );
}

function signature(object: JsonObject, signer: Signer): string {
  return encodeBase64(signer.key.sign(signedBytes(object)));
}

function signedBytes(object: JsonObject): Uint8Array {
  return canonicalBytes(without(object, 'signatures', 'unsigned', 'age_ts'));
}

function addSignature(object: JsonObject, signer: Signer, value: string): JsonObject {
  const all = asObject(object['signatures']) ?? {};
  return {
    ...object,
    signatures: { ...all, [signer.name]: { ...asObject(all[signer.name]), [signer.keyId]: value } },
  };
}
