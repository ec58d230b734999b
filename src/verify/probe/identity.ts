import { createHash } from 'node:crypto';
import { newSeed, signingKeyFromSeed } from '../../core/ed25519.ts';
import { encodeBase64 } from '../events/base64.ts';
import type { JsonObject } from '../events/json.ts';
import { signJson, type Signer } from '../events/signatures.ts';

/** How long a probe's key document says it may be believed. A probe lives for minutes. */
const VALID_FOR_MS = 60 * 60 * 1000;

/** A server that nobody has met: fresh key, key id from its public half. */
export function newIdentity(name: string): Signer {
  const key = signingKeyFromSeed(newSeed());
  const fingerprint = createHash('sha256').update(key.publicKey).digest('hex').slice(0, 6);
  return { name, keyId: `ed25519:p_${fingerprint}`, key };
}

/** The same name and key id with another key: what a thief of the name would have. */
export function impostorOf(identity: Signer): Signer {
  return { ...identity, key: signingKeyFromSeed(newSeed()) };
}

/** What `GET /_matrix/key/v2/server` answers (specification, server-server API, "Publishing Keys"). */
export function keyDocument(identity: Signer, now: Date): JsonObject {
  const document = {
    server_name: identity.name,
    verify_keys: { [identity.keyId]: { key: encodeBase64(identity.key.publicKey) } },
    old_verify_keys: {},
    valid_until_ts: now.getTime() + VALID_FOR_MS,
  };
  return signJson(document, identity);
}
