import { createHash } from 'node:crypto';
import { canonicalBytes } from '../../core/canonical-json.ts';
import { encodeBase64, encodeUrlSafeBase64 } from './base64.ts';
import { asObject, without, type JsonObject } from './json.ts';
import { redact } from './redact.ts';
import type { RoomVersion } from './room-versions.ts';

/**
 * Never part of the content hash (specification, server-server API, "Calculating the content hash for an event"); the
 * last three are what old servers left inside stored events and Synapse takes out as well.
 */
const NOT_HASHED = ['unsigned', 'signatures', 'hashes', 'age_ts', 'outlier', 'destinations'];

/** SHA-256 of the whole event, unpadded base64: what `hashes.sha256` must be as long as the event is not redacted. */
export function contentHash(event: JsonObject): string {
  return encodeBase64(sha256(without(event, ...NOT_HASHED)));
}

export function verifyContentHash(event: JsonObject): boolean {
  return asObject(event['hashes'])?.['sha256'] === contentHash(event);
}

/** SHA-256 of the redacted event without its signatures: 32 bytes, the event's identity. */
export function referenceHash(event: JsonObject, version: RoomVersion): Uint8Array {
  return sha256(without(redact(event, version), 'signatures', 'unsigned', 'age_ts'));
}

/** Undefined only for an event of room version 1 or 2 that carries no id. */
export function eventId(event: JsonObject, version: RoomVersion): string | undefined {
  if (version.eventId === 'given')
    return typeof event['event_id'] === 'string' ? event['event_id'] : undefined;
  const hash = referenceHash(event, version);
  return `$${version.eventId === 'base64' ? encodeBase64(hash) : encodeUrlSafeBase64(hash)}`;
}

function sha256(value: JsonObject): Buffer {
  return createHash('sha256').update(canonicalBytes(value)).digest();
}
