import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Check } from '../../restore/step.ts';
import { publicKeysOf } from '../events/verify-old-events.ts';
import { asObject, asText, type JsonObject } from '../events/json.ts';
import { signaturesOf, verifyJson } from '../events/signatures.ts';
import { secure } from './federation-client.ts';
import { within } from './http.ts';
import { expectThat, type Finding } from './observe.ts';
import type { Probe } from './probe.ts';

/** Is this still the server that others know: certificate, name, keys. */
export async function* identityChecks(probe: Probe): AsyncGenerator<Check> {
  yield await probe.observe(
    'federation.tls-certificate',
    'the TLS certificate is valid for the server name',
    () => certificate(probe),
  );
  yield await probe.observe('federation.version', 'the federation API answers', () => version(probe));
  let document: JsonObject | undefined;
  yield await probe.observe(
    'federation.key-published',
    'the published signing keys are those of the backup',
    async () => {
      const { status, json } = await probe.federation.call('GET', '/_matrix/key/v2/server', undefined, {
        signer: undefined,
      });
      if (status !== 200) return expectThat(false, '200', `${status} ${asText(json['error']) ?? ''}`);
      document = json;
      return publishedKeys(json, probe);
    },
  );
  yield await probe.observe(
    'federation.key-signature',
    'the key document is signed by the keys it publishes',
    async () => keySignature(document, probe),
  );
  yield await probe.observe('federation.key-validity', 'the key document is valid now', async () =>
    keyValidity(document, probe),
  );
}

async function certificate({ federation: { target } }: Probe): Promise<Finding> {
  return await within(target.timeoutMs, 'TLS handshake', async (signal) => {
    const socket = await secure(target, signal);
    const peer = socket.getPeerCertificate();
    const misnamed = checkServerIdentity(target.tlsName, peer)?.message;
    const fault = misnamed ?? (socket.authorized ? undefined : String(socket.authorizationError));
    return expectThat(fault === undefined, `trusted, valid for ${target.tlsName}`, fault ?? describe(peer));
  });
}

function describe(peer: PeerCertificate): string {
  return `${peer.subjectaltname ?? String(peer.subject.CN)}, valid until ${new Date(peer.valid_to).toISOString().slice(0, 10)}`;
}

async function version({ federation }: Probe): Promise<Finding> {
  const { status, json } = await federation.call('GET', '/_matrix/federation/v1/version', undefined, {
    signer: undefined,
  });
  const server = asObject(json['server']);
  return expectThat(
    status === 200 && server !== undefined,
    '200',
    server === undefined ? String(status) : `${String(server['name'])} ${String(server['version'])}`,
  );
}

/** Every current key must be one of the backup; every key of the backup must be current or declared old. */
function publishedKeys(document: JsonObject, { options }: Probe): Finding {
  const current = keysIn(document['verify_keys']);
  const published = { ...keysIn(document['old_verify_keys']), ...current };
  const expected = Object.fromEntries(options.publicKeys.map(({ keyId, publicKey }) => [keyId, publicKey]));
  const foreign = Object.entries(current).filter(([keyId, key]) => expected[keyId] !== key);
  const absent = Object.entries(expected).filter(([keyId, key]) => published[keyId] !== key);
  const named = document['server_name'] === options.serverName;
  return expectThat(
    named && foreign.length === 0 && absent.length === 0 && Object.keys(current).length > 0,
    `${options.serverName}: ${describeKeys(expected)}`,
    `${String(document['server_name'])}: ${describeKeys(current)}`,
    [
      ...foreign.map(([keyId, key]) => `published, but not in the backup: ${keyId} ${key}`),
      ...absent.map(([keyId, key]) => `in the backup, but not published: ${keyId} ${key}`),
    ],
  );
}

function keysIn(section: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(asObject(section) ?? {}).map(([keyId, entry]) => [
      keyId,
      asText(asObject(entry)?.['key']) ?? '',
    ]),
  );
}

function describeKeys(keys: Readonly<Record<string, string>>): string {
  return (
    Object.entries(keys)
      .map(([keyId, key]) => `${keyId} ${key}`)
      .toSorted()
      .join(', ') || 'none'
  );
}

function keySignature(document: JsonObject | undefined, { options }: Probe): Finding {
  if (document === undefined) return NO_DOCUMENT;
  const published = keysIn(document['verify_keys']);
  const keys = publicKeysOf(Object.entries(published).map(([keyId, publicKey]) => ({ keyId, publicKey })));
  const bad = [...keys]
    .filter(([keyId, key]) => !verifyJson(document, options.serverName, keyId, key))
    .map(([keyId]) => keyId);
  const signed = Object.keys(signaturesOf(document, options.serverName));
  return expectThat(
    bad.length === 0 && keys.size > 0,
    `verifies under ${[...keys.keys()].join(', ')}`,
    bad.length === 0 ? `signed with ${signed.join(', ')}` : `does not verify under ${bad.join(', ')}`,
  );
}

function keyValidity(document: JsonObject | undefined, { clock }: Probe): Finding {
  if (document === undefined) return NO_DOCUMENT;
  const until = document['valid_until_ts'];
  const now = clock.now();
  if (typeof until !== 'number') return expectThat(false, 'a time in the future', String(until));
  return expectThat(until > now.getTime(), `after ${now.toISOString()}`, new Date(until).toISOString());
}

const NO_DOCUMENT: Finding = { result: 'skip', observed: 'there is no key document to look at' };
