import { generateKeyPairSync } from 'node:crypto';
import { canonicalBytes } from '../../core/canonical-json.ts';
import { newSeed, signingKeyFromSeed, type SigningKey } from '../../core/ed25519.ts';
import type { Json, MatrixClient } from './client.ts';

const ONE_TIME_KEYS = 20;
const ALGORITHMS = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'];

/**
 * Uploads what an encrypting client uploads at its first start: signed device keys, one-time keys, a fallback key
 * (client-server specification, "Key algorithms"). The private halves are forgotten; nobody here reads encrypted messages.
 */
export async function uploadDeviceKeys(client: MatrixClient): Promise<void> {
  const { userId, deviceId } = client.account;
  const key = signingKeyFromSeed(newSeed());
  const signed = (object: Json): Json => ({
    ...object,
    signatures: { [userId]: { [`ed25519:${deviceId}`]: signature(key, object) } },
  });
  const oneTimeKeys = Array.from({ length: ONE_TIME_KEYS }, (_, index) => [
    `signed_curve25519:${keyName(index)}`,
    signed({ key: newCurveKey() }),
  ]);
  await client.request('POST', '/keys/upload', {
    device_keys: signed({
      user_id: userId,
      device_id: deviceId,
      algorithms: ALGORITHMS,
      keys: { [`ed25519:${deviceId}`]: unpadded(key.publicKey), [`curve25519:${deviceId}`]: newCurveKey() },
    }),
    one_time_keys: Object.fromEntries(oneTimeKeys) as Json,
    fallback_keys: {
      [`signed_curve25519:${keyName(ONE_TIME_KEYS)}`]: signed({ key: newCurveKey(), fallback: true }),
    },
  });
}

/** A key backup on the server, as clients make it (client-server specification, "Server-side key backups"). */
export async function createKeyBackup(client: MatrixClient): Promise<void> {
  await client.request('POST', '/room_keys/version', {
    algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2',
    auth_data: { public_key: newCurveKey() },
  });
}

/** Of the shape of a megolm message; its text is as unreadable to us as a real one is to a server. */
export function encryptedContent(client: MatrixClient, ciphertext: string): Json {
  return {
    algorithm: ALGORITHMS[1],
    ciphertext: unpadded(Buffer.from(ciphertext.padEnd(160, '.'))),
    device_id: client.account.deviceId,
    sender_key: newCurveKey(),
    session_id: newCurveKey(),
  };
}

function signature(key: SigningKey, object: Json): string {
  return unpadded(key.sign(canonicalBytes(object)));
}

/** Curve25519, as olm has it. */
function newCurveKey(): string {
  const spki = generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' });
  return unpadded(spki.subarray(-32));
}

/** `AAAAAA`, `AAAAAB` ... as libolm counts. */
function keyName(index: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(index);
  return unpadded(bytes);
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
