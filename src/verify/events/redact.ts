import { asObject, asText, type JsonObject } from './json.ts';
import type { RoomVersion } from './room-versions.ts';

/**
 * What is left of an event after its redaction. Event ids and signatures cover this form only, so that they stay valid
 * when the content is taken away; the rest is covered by the content hash, which is part of this form.
 */
export function redact(event: JsonObject, version: RoomVersion): JsonObject {
  const type = asText(event['type']) ?? '';
  const kept: Record<string, unknown> = {};
  for (const key of version.redaction.topLevelKeys) if (Object.hasOwn(event, key)) kept[key] = event[key];
  // Where the room id is the hash of this very event, it cannot be part of it; the client API adds it all the same.
  if (version.roomIdIsCreateHash && type === 'm.room.create') delete kept['room_id'];
  kept['content'] = redactContent(type, asObject(event['content']) ?? {}, version);
  return kept;
}

function redactContent(type: string, content: JsonObject, version: RoomVersion): JsonObject {
  const { contentKeys, keepsThirdPartySigned } = version.redaction;
  const allowed = Object.hasOwn(contentKeys, type) ? contentKeys[type]! : [];
  if (allowed === '*') return content;
  const kept: Record<string, unknown> = {};
  for (const key of allowed) if (Object.hasOwn(content, key)) kept[key] = content[key];
  if (type === 'm.room.member' && keepsThirdPartySigned) {
    const invite = asObject(content['third_party_invite']);
    if (invite !== undefined)
      kept['third_party_invite'] = 'signed' in invite ? { signed: invite['signed'] } : {};
  }
  return kept;
}
