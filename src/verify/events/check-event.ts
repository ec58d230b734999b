import { contentHash, eventId, verifyContentHash } from './hashes.ts';
import { asObject, asText, type JsonObject } from './json.ts';
import { redact } from './redact.ts';
import type { RoomVersion } from './room-versions.ts';
import { signaturesOf, verifyEventSignature } from './signatures.ts';

/** Public keys of one server: key id -> 32 bytes. */
export type PublicKeys = ReadonlyMap<string, Uint8Array>;

/** What is wrong with an event, as a phrase for people; undefined when nothing is. */
export type Fault = string | undefined;

/**
 * Checks an event that `serverName` must have signed: its hash, its id, its signature.
 * Throws TypeError when it holds a number that canonical JSON does not know.
 */
export function eventFault(
  event: JsonObject,
  version: RoomVersion,
  serverName: string,
  keys: PublicKeys,
  expected: { eventId?: string; mayBeRedacted?: boolean } = {},
): Fault {
  return (
    signatureFault(event, version, serverName, keys) ??
    (expected.eventId !== undefined && eventId(event, version) !== expected.eventId
      ? 'its content does not give its event id'
      : undefined) ??
    (verifyContentHash(event) || (expected.mayBeRedacted === true && isRedacted(event, version))
      ? undefined
      : 'its content does not match its hash')
  );
}

function signatureFault(
  event: JsonObject,
  version: RoomVersion,
  serverName: string,
  keys: PublicKeys,
): Fault {
  const keyIds = Object.keys(signaturesOf(event, serverName));
  if (keyIds.length === 0) return isThirdPartyInvite(event) ? undefined : `it is not signed by ${serverName}`;
  const known = keyIds.filter((keyId) => keys.has(keyId));
  if (known.length === 0) return `it is signed with ${keyIds.join(', ')}, which is not among the known keys`;
  const verified = known.some((keyId) =>
    verifyEventSignature(event, version, serverName, keyId, keys.get(keyId)!),
  );
  return verified ? undefined : `its signature does not verify under ${known.join(', ')}`;
}

/** An invite by e-mail address is made by the invited user's server, in the name of our user (specification, "Third-party invites"). */
function isThirdPartyInvite(event: JsonObject): boolean {
  const content = asObject(event['content']);
  return (
    asText(event['type']) === 'm.room.member' &&
    content?.['membership'] === 'invite' &&
    asObject(content['third_party_invite']) !== undefined
  );
}

/** True when a redaction would take nothing away: such an event may have lost what its hash covers. */
function isRedacted(event: JsonObject, version: RoomVersion): boolean {
  return contentHash(redact(event, version)) === contentHash(event);
}
