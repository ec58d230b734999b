import type { LastSeen } from './last-seen.ts';

/** Something of the homeserver's identity that is not as at the last backup. */
export interface IdentityChange {
  readonly what: 'server-name' | 'signing-key' | 'secret' | 'schema' | 'homeserver';
  /** One sentence for people; never a value of a secret. */
  readonly text: string;
  /** Somebody has to look: the backup ends with status 3. Upgrades and additions are told and end with 0. */
  readonly alarm: boolean;
}

/** Pure. Loudest first. */
export function identityChanges(before: LastSeen | undefined, now: LastSeen): IdentityChange[] {
  if (before === undefined) return [];
  return [
    ...serverName(before, now),
    ...signingKeys(before, now),
    // Fingerprints of another key say nothing.
    ...(before.of_key === now.of_key ? secrets(before, now) : []),
    ...schema(before, now),
    ...(before.homeserver === now.homeserver
      ? []
      : [
          change('homeserver', false, `the homeserver is now ${now.homeserver}, it was ${before.homeserver}`),
        ]),
  ];
}

function change(what: IdentityChange['what'], alarm: boolean, text: string): IdentityChange {
  return {
    what,
    alarm,
    text: alarm ? `CHANGED since the last backup: ${text}` : `since the last backup: ${text}`,
  };
}

function serverName(before: LastSeen, now: LastSeen): IdentityChange[] {
  if (before.server_name === now.server_name) return [];
  return [
    change(
      'server-name',
      true,
      `server_name is ${now.server_name}, it was ${before.server_name}: to other servers this is another server`,
    ),
  ];
}

/** A key that is gone and not published as an old one: servers that never saw it reject the events that it signed (SYNAPSE.md section 5). */
function signingKeys(before: LastSeen, now: LastSeen): IdentityChange[] {
  const changes: IdentityChange[] = [];
  for (const [id, publicKey] of Object.entries(before.signing_keys)) {
    const current = now.signing_keys[id];
    if (current === publicKey) continue;
    if (current !== undefined)
      changes.push(
        change(
          'signing-key',
          true,
          `the signing key ${id} is another one under the same name: other servers answer 401 to all that it signs; restore the old key from a snapshot`,
        ),
      );
    else if (now.old_signing_keys.includes(id))
      changes.push(change('signing-key', false, `the signing key ${id} was retired to old_signing_keys`));
    else
      changes.push(
        change(
          'signing-key',
          true,
          `the signing key ${id} is gone and does not stand in old_signing_keys: new servers cannot verify what it signed; add the block that \`lifeboat show\` prints of an older snapshot, or restore the key`,
        ),
      );
  }
  for (const id of Object.keys(now.signing_keys))
    if (!(id in before.signing_keys))
      changes.push(change('signing-key', false, `the signing key ${id} is new`));
  for (const id of before.old_signing_keys)
    if (!now.old_signing_keys.includes(id) && !(id in now.signing_keys))
      changes.push(
        change(
          'signing-key',
          true,
          `old_signing_keys no longer has ${id}: new servers cannot verify what it signed`,
        ),
      );
  return changes.toSorted((a, b) => Number(b.alarm) - Number(a.alarm));
}

function secrets(before: LastSeen, now: LastSeen): IdentityChange[] {
  const names = [...new Set([...Object.keys(before.secrets), ...Object.keys(now.secrets)])].toSorted();
  const which = (test: (was: string | undefined, is: string | undefined) => boolean) =>
    names.filter((name) => test(before.secrets[name], now.secrets[name])).join(', ');
  const changed = which((was, is) => was !== undefined && is !== undefined && was !== is);
  // A fingerprint is of name and value: the same one elsewhere is a secret that was moved to another file.
  const [had, have] = [new Set(Object.values(before.secrets)), new Set(Object.values(now.secrets))];
  const gone = which((was, is) => was !== undefined && is === undefined && !have.has(was));
  const added = which((was, is) => was === undefined && is !== undefined && !had.has(is));
  return [
    ...(changed === ''
      ? []
      : [change('secret', true, `these secrets have other values: ${changed}${consequence(changed)}`)]),
    ...(gone === '' ? [] : [change('secret', true, `these secrets are gone: ${gone}${consequence(gone)}`)]),
    ...(added === '' ? [] : [change('secret', false, `these secrets are new: ${added}`)]),
  ];
}

function consequence(names: string): string {
  return names.includes('password_config.pepper')
    ? '; with another pepper nobody can log in by password'
    : '';
}

function schema(before: LastSeen, now: LastSeen): IdentityChange[] {
  return Object.entries(now.schema).flatMap(([name, is]) => {
    const was = before.schema[name];
    if (was === undefined || was === is) return [];
    // An upgrade raises it; nothing but another database lowers it.
    const back = Number(is) < Number(was);
    return [
      change('schema', back, `${name} is ${is}, it was ${was}${back ? ': this is an older database' : ''}`),
    ];
  });
}
