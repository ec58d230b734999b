import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/core/canonical-json.ts';
import { contentHash } from '../../src/verify/events/hashes.ts';
import type { JsonObject } from '../../src/verify/events/json.ts';
import { redact } from '../../src/verify/events/redact.ts';
import { ROOM_VERSIONS } from '../../src/verify/events/room-versions.ts';
import { SYNAPSE_VENV } from './real-synapse.ts';

/** Synapse's own redaction and hash of random events, one JSON array a line: version, event, redacted event, content hash. */
const ORACLE = `
import base64, hashlib, json, random
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import compute_content_hash
from synapse.synapse_rust.events import redact_event_dict
random.seed(20260101)
types = "message member create power_levels join_rules history_visibility aliases redaction other".split()
keys = """membership join_authorised_via_users_server creator join_rule allow ban events events_default invite kick redact
  state_default users users_default aliases history_visibility redacts body third_party_invite m.federate predecessor""".split()
tops = """event_id sender room_id hashes signatures state_key depth prev_events auth_events origin origin_server_ts prev_state
  membership redacts replaces_state age_ts outlier""".split()
for version in range(1, 13):
    for _ in range(200):
        content = {k: random.choice([1, "x", [], {}, {"a": 1}]) for k in random.sample(keys, random.randrange(10))}
        if "third_party_invite" in content:
            content["third_party_invite"] = random.choice([{}, {"signed": {"t": 1}, "display_name": "x"}, {"display_name": "x"}, "x"])
        event = {"type": "m.room." + random.choice(types), "content": content}
        for k in random.sample(tops, random.randrange(12)):
            event[k] = {} if k in ("signatures", "hashes") else random.choice([1, "x", {}, []])
        redacted = dict(redact_event_dict(KNOWN_ROOM_VERSIONS[str(version)], dict(event)))
        redacted.pop("unsigned", None)
        digest = base64.b64encode(compute_content_hash(event, hashlib.sha256)[1]).decode().rstrip("=")
        print(json.dumps([str(version), event, redacted, digest]))
`;

describe('redaction and content hash', () => {
  it('are those of Synapse for random events of every room version', () => {
    const { stdout, stderr, status } = spawnSync(`${SYNAPSE_VENV}/bin/python`, ['-c', ORACLE], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    expect(status, stderr).toBe(0);
    const cases = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as [string, JsonObject, JsonObject, string]);
    expect(cases).toHaveLength(2400);
    for (const [version, event, redacted, hash] of cases) {
      expect(canonicalJson(redact(event, ROOM_VERSIONS[version]!)), `version ${version}`).toBe(
        canonicalJson(redacted),
      );
      expect(contentHash(event)).toBe(hash);
    }
  });
});
