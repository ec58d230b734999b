import { randomBytes } from 'node:crypto';
import { encodeBase64 } from '../events/base64.ts';
import { referenceHash } from '../events/hashes.ts';
import type { JsonObject } from '../events/json.ts';
import type { RoomVersion } from '../events/room-versions.ts';

/** For room versions 1 and 2, where the sender chooses. */
export function newEventId(serverName: string): string {
  return `$${randomBytes(9).toString('hex')}:${serverName}`;
}

/** How auth_events and prev_events name an event. */
export function reference(eventId: string, event: JsonObject, version: RoomVersion): unknown {
  return version.referencesCarryHashes
    ? [eventId, { sha256: encodeBase64(referenceHash(event, version)) }]
    : eventId;
}

/** The event id that such a reference names. */
export function referencedId(entry: unknown): unknown {
  return Array.isArray(entry) ? entry[0] : entry;
}
