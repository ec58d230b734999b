/**
 * A database in the shape of Synapse's largest tables (schema 94), with text as compressible as the real thing: event ids,
 * hashes, signatures and the bodies of encrypted events are random base64, others are words, the rest is JSON that repeats. Everything follows from row
 * numbers, so every machine makes the same rows in the same places of the heap.
 */
export const SCHEMA_SQL = `
CREATE FUNCTION b64(text) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT translate(rtrim(encode(sha256(convert_to($1, 'UTF8')), 'base64'), '='), '+/', '-_') $$;
CREATE FUNCTION b64_86(text) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT rtrim(replace(encode(sha512(convert_to($1, 'UTF8')), 'base64'), E'\\n', ''), '=') $$;
CREATE FUNCTION pick(text, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS
  $$ SELECT abs(hashtextextended($1, 0) % $2) $$;
CREATE FUNCTION room(bigint) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT '!' || substr(b64('room' || pick('r' || $1 / 20, 400)), 1, 18) || ':bench.example' $$;
CREATE FUNCTION member(bigint) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT '@user' || pick('u' || $1, 3000) || ':bench.example' $$;
CREATE TABLE phrases AS SELECT array_agg(phrase ORDER BY n) AS texts FROM (
  SELECT n, (SELECT string_agg((string_to_array('the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part', ' '))
    [1 + pick('w' || n || '.' || w, 104)], ' ' ORDER BY w) FROM generate_series(1, 5 + n % 9) AS w) AS phrase
  FROM generate_series(1, 512) AS n) AS made;

CREATE TABLE schema_version (lock char(1) PRIMARY KEY DEFAULT 'X', version integer NOT NULL, upgraded boolean NOT NULL);
CREATE TABLE schema_compat_version (lock char(1) PRIMARY KEY DEFAULT 'X', compat_version integer NOT NULL);
CREATE TABLE users (name text UNIQUE, password_hash text, creation_ts bigint, admin smallint NOT NULL DEFAULT 0, deactivated smallint NOT NULL DEFAULT 0, is_guest smallint NOT NULL DEFAULT 0, user_type text, appservice_id text);
CREATE TABLE rooms (room_id text PRIMARY KEY, is_public boolean, creator text, room_version text);
CREATE TABLE events (topological_ordering bigint NOT NULL, event_id text NOT NULL, type text NOT NULL, room_id text NOT NULL, content text, unrecognized_keys text, processed boolean NOT NULL, outlier boolean NOT NULL, depth bigint NOT NULL, origin_server_ts bigint, received_ts bigint, sender text, contains_url boolean, instance_name text, stream_ordering bigint, state_key text, rejection_reason text);
CREATE TABLE event_json (event_id text NOT NULL, room_id text NOT NULL, internal_metadata text NOT NULL, json text NOT NULL, format_version integer);
CREATE TABLE state_groups (id bigint PRIMARY KEY, room_id text NOT NULL, event_id text NOT NULL);
CREATE TABLE state_groups_state (state_group bigint NOT NULL, room_id text NOT NULL, type text NOT NULL, state_key text NOT NULL, event_id text NOT NULL);
CREATE TABLE device_lists_remote_cache (user_id text NOT NULL, device_id text NOT NULL, content text NOT NULL);
CREATE TABLE device_lists_stream (stream_id bigint NOT NULL, user_id text NOT NULL, device_id text NOT NULL, instance_name text);
CREATE TABLE receipts_linearized (stream_id bigint NOT NULL, room_id text NOT NULL, receipt_type text NOT NULL, user_id text NOT NULL, event_id text NOT NULL, data text NOT NULL, thread_id text, instance_name text);
CREATE TABLE local_media_repository (media_id text UNIQUE, media_type text, media_length integer, created_ts bigint, upload_name text, user_id text, quarantined_by text, url_cache text, sha256 text);
INSERT INTO schema_version VALUES ('X', 94, false);
INSERT INTO schema_compat_version VALUES ('X', 93);
INSERT INTO users SELECT '@user' || n || ':bench.example', '$2b$12$' || substr(b64_86('password' || n), 1, 53), 1700000000 + n FROM generate_series(0, 2999) AS n;
INSERT INTO rooms SELECT '!' || substr(b64('room' || n), 1, 18) || ':bench.example', n % 7 = 0, member(n), '11' FROM generate_series(0, 399) AS n;
`;

const INDEXES_SQL = `
ALTER TABLE events ADD CONSTRAINT events_event_id UNIQUE (event_id);
ALTER TABLE event_json ADD CONSTRAINT event_json_event_id UNIQUE (event_id);
CREATE UNIQUE INDEX events_stream_ordering ON events (stream_ordering);
CREATE INDEX events_order_room ON events (room_id, topological_ordering, stream_ordering);
CREATE INDEX state_groups_state_group ON state_groups_state (state_group, type, state_key);
CREATE UNIQUE INDEX device_lists_remote_cache_unique_id ON device_lists_remote_cache (user_id, device_id);
CREATE INDEX device_lists_stream_id ON device_lists_stream (stream_id, user_id);
CREATE UNIQUE INDEX receipts_linearized_unique ON receipts_linearized (stream_id);
VACUUM ANALYZE;
`;

/** State rows for each event: every 20th event makes a state group of 100 rows. */
const STATE_EVERY = 20;
const STATE_ROWS = 100;

export function fillSql(events: number): string {
  return `${eventsSql(0, events)}
INSERT INTO device_lists_remote_cache SELECT '@remote' || n / 3 || ':elsewhere.example', upper(substr(md5('device' || n), 1, 10)), ${deviceContent('n', '0')}
  FROM generate_series(0, ${Math.round(events / 8)} - 1) AS n;
INSERT INTO device_lists_stream SELECT n, '@remote' || n / 3 || ':elsewhere.example', upper(substr(md5('device' || n), 1, 10)), 'master'
  FROM generate_series(0, ${Math.round(events / 8)} - 1) AS n;
INSERT INTO receipts_linearized SELECT n, room(n), 'm.read', member(n), '$' || b64('event' || n), '{"ts":' || 1700000000000 + n::bigint * 1013 || '}', NULL, 'master'
  FROM generate_series(0, ${Math.round(events / 8)} - 1) AS n;
${INDEXES_SQL}`;
}

/**
 * A day: 0.5 % of the bytes. Half of them are new events at the ends of the heaps; half are rows that change where they are
 * and so move to other pages: devices here and there, read receipts, redactions in runs. VACUUM as the server would.
 */
export function nightSql(events: number, night: number): string {
  const fresh = Math.round(events * 0.0025);
  const from = events + (night - 1) * fresh;
  const share = (one: number): string => `pick('night${night}.' || ctid::text, ${one}) = 0`;
  return `${eventsSql(from, from + fresh)}
UPDATE device_lists_remote_cache SET content = ${deviceContent('length(user_id)', String(night))} || device_id WHERE ${share(33)};
UPDATE receipts_linearized SET event_id = '$' || b64('event' || stream_id + ${from}), data = '{"ts":' || ${1700000000000 + from * 1013} || '}' WHERE ${share(20)};
UPDATE event_json SET json = regexp_replace(json, '"content":{[^}]*', '"content":{"redacted_because":"$' || b64('redaction' || event_id) || '"')
  WHERE pick('night${night}.' || substr(ctid::text, 2, strpos(ctid::text, ',') - 2), 700) = 0;
VACUUM;
`;
}

function eventsSql(from: number, to: number): string {
  const numbers = `generate_series(${from}, ${to} - 1) AS n`;
  return `
INSERT INTO events SELECT n / 400, '$' || b64('event' || n), 'm.room.message', room(n), NULL, NULL, true, false, n / 400, 1700000000000 + n::bigint * 1013, 1700000000000 + n::bigint * 1013 + 40,
  member(n), false, 'master', n, NULL, NULL FROM ${numbers};
INSERT INTO event_json SELECT '$' || b64('event' || n), room(n), '{"token_id":' || 40 + n % 5000 || ',"stream_ordering":' || n || ',"historical":false}',
  '{"auth_events":["$' || b64('auth' || n / 20) || '","$' || b64('power' || n / 2000) || '","$' || b64('member' || n / 20) || '"],"content":{' || CASE WHEN pick('e' || n / 20, 5) < 2
  THEN '"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"' || b64_86('c1' || n) || b64_86('c2' || n) || b64_86('c3' || n) || '","device_id":"' || substr(b64('device' || n % 5000), 1, 10) || '","sender_key":"' || b64('key' || n % 5000) || '","session_id":"' || b64('session' || n / 60) || '"'
  ELSE '"body":"' || texts[1 + pick('a' || n, 512)] || ' ' || n % 1000 || ' ' || texts[1 + pick('b' || n, 512)] || ', ' || texts[1 + pick('c' || n, 512)] || '","m.mentions":{},"msgtype":"m.text"' END
  || '},"depth":' || n / 400 || ',"hashes":{"sha256":"' || b64('hash' || n) || '"},"origin_server_ts":' || 1700000000000 + n::bigint * 1013
  || ',"prev_events":["$' || b64('event' || n - 1) || '"],"room_id":"' || room(n) || '","sender":"' || member(n)
  || '","signatures":{"bench.example":{"ed25519:a_Kcaf":"' || b64_86('signature' || n) || '"}},"type":"m.room.message","unsigned":{"age_ts":' || 1700000000000 + n::bigint * 1013 || '}}', 4
  FROM ${numbers}, phrases;
INSERT INTO state_groups SELECT n, room(n), '$' || b64('event' || n) FROM ${numbers} WHERE n % ${STATE_EVERY} = 0;
INSERT INTO state_groups_state SELECT n, room(n), CASE WHEN m < 8 THEN 'm.room.power_levels' ELSE 'm.room.member' END, member(m * 31), '$' || b64('state' || n / 40 || '.' || m)
  FROM ${numbers}, generate_series(1, ${STATE_ROWS}) AS m WHERE n % ${STATE_EVERY} = 0;
`;
}

function deviceContent(number: string, salt: string): string {
  const key = (name: string): string => `b64('${name}' || ${number} || '.${salt}')`;
  return `'{"algorithms":["m.olm.v1.curve25519-aes-sha2","m.megolm.v1.aes-sha2"],"device_id":"' || upper(substr(md5('device' || ${number}), 1, 10)) || '","keys":{"curve25519":"' || ${key('curve')}
    || '","ed25519":"' || ${key('ed')} || '"},"signatures":{"elsewhere.example":{"ed25519":"' || b64_86('device' || ${number} || '.${salt}') || '"}},"user_id":"@remote' || ${number} / 3 || ':elsewhere.example"}'`;
}
