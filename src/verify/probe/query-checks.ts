import type { Check } from '../../restore/step.ts';
import { asArray, asObject, asText, type JsonObject } from '../events/json.ts';
import { impostorOf } from './identity.ts';
import { expectThat, type Finding } from './observe.ts';
import type { Probe } from './probe.ts';

/** Is the server's data there for others: profiles, devices, aliases. One-time keys are never claimed: a claim uses them up. */
export async function* queryChecks(probe: Probe): AsyncGenerator<Check> {
  const { users, aliases } = probe.options.samples;
  yield await probe.observe('federation.profile', 'profiles of its users are answered', () =>
    each(
      probe,
      'user',
      users,
      (user) => [`query/profile?user_id=${encodeURIComponent(user)}`],
      (json) => asObject(json) !== undefined,
    ),
  );
  yield await probe.observe('federation.devices', 'device lists of its users are answered', () =>
    each(
      probe,
      'user',
      users,
      (user) => [`user/devices/${encodeURIComponent(user)}`],
      (json) => Array.isArray(json['devices']),
    ),
  );
  yield await probe.observe('federation.device-keys', 'device keys of its users are answered', () =>
    each(
      probe,
      'user',
      users,
      (user) => ['user/keys/query', { device_keys: { [user]: [] } }],
      (json) => asObject(json['device_keys']) !== undefined,
    ),
  );
  yield await probe.observe('federation.directory', 'its room aliases are answered', () =>
    each(
      probe,
      'alias',
      aliases,
      (alias) => [`query/directory?room_alias=${encodeURIComponent(alias)}`],
      (json) => asText(json['room_id']) !== undefined,
    ),
  );
  yield await probe.observe('federation.public-rooms', 'the public room list is answered', () =>
    publicRooms(probe),
  );
  yield await probe.observe('federation.empty-transaction', 'a signed transaction is accepted', () =>
    emptyTransaction(probe),
  );
}

/** Who is not who they say must be turned away; a server that believes everybody is no proof of anything. */
export async function* refusalChecks(probe: Probe): AsyncGenerator<Check> {
  const path = '/_matrix/federation/v1/publicRooms?limit=1';
  const refused = async (options: Parameters<Probe['federation']['call']>[3]) => {
    const { status, json } = await probe.federation.call('GET', path, undefined, options);
    return expectThat(status === 401, '401', `${status} ${asText(json['errcode']) ?? ''}`.trim());
  };
  yield await probe.observe(
    'federation.refuses-wrong-key',
    "a request signed with another key under the probe's name is refused",
    () => refused({ signer: impostorOf(probe.identity) }),
  );
  yield await probe.observe('federation.refuses-unsigned', 'an unsigned request is refused', () =>
    refused({ signer: undefined }),
  );
  yield await probe.observe(
    'federation.refuses-other-destination',
    'a request that is signed for another server is refused',
    () => refused({ destination: 'elsewhere.invalid' }),
  );
}

/** 403 is how configuration forbids a question (`allow_profile_lookup_over_federation` and the like): not a loss of data. */
async function each(
  probe: Probe,
  noun: string,
  names: readonly string[],
  ask: (name: string) => [path: string, content?: unknown],
  isGood: (json: JsonObject) => boolean,
): Promise<Finding> {
  if (names.length === 0) return { result: 'skip', observed: `no ${noun} to ask for` };
  const bad: string[] = [];
  const denied: string[] = [];
  for (const name of names) {
    const [path, content] = ask(name);
    const { status, json } = await probe.federation.call(
      content === undefined ? 'GET' : 'POST',
      `/_matrix/federation/v1/${path}`,
      content,
    );
    if (status === 403) denied.push(`${name}: 403 ${asText(json['error']) ?? ''}`);
    else if (status !== 200 || !isGood(json)) bad.push(`${name}: ${status} ${asText(json['error']) ?? ''}`);
  }
  const answered = names.length - bad.length - denied.length;
  const finding = expectThat(
    bad.length === 0,
    `${names.length} of ${names.length} answered`,
    `${answered} of ${names.length} answered`,
    [...bad, ...denied],
  );
  return bad.length === 0 && denied.length > 0 ? { ...finding, result: 'warn' } : finding;
}

async function publicRooms({ federation }: Probe): Promise<Finding> {
  const { status, json } = await federation.call('GET', '/_matrix/federation/v1/publicRooms?limit=10');
  if (status === 403)
    return { result: 'skip', observed: 'the configuration does not publish the room list to other servers' };
  return expectThat(
    status === 200 && Array.isArray(json['chunk']),
    '200',
    `${status}, ${asArray(json['chunk']).length} rooms`,
  );
}

async function emptyTransaction(probe: Probe): Promise<Finding> {
  const { status, json } = await probe.sendTransaction([]);
  return expectThat(status === 200, '200', `${status} ${asText(json['error']) ?? ''}`.trim());
}
