import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from '../config/zod.ts';
import type { Inventory } from '../homeserver/port.ts';
import type { Manifest } from '../repository/manifest.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';
import { stateName } from './run/state-name.ts';

/**
 * What the last backup of this host saw of the homeserver's identity: the host cannot read the manifests that it wrote. Of secrets only
 * HMACs, with a key that never leaves the host, so that a copy of the file tells nobody more than that something changed.
 */
const lastSeenSchema = z.strictObject({
  v: z.literal(1),
  at: z.iso.datetime(),
  /** HMAC of a constant: whether the fingerprints are of the key that we have. */
  of_key: z.string(),
  server_name: z.string(),
  homeserver: z.string(),
  signing_keys: z.record(z.string(), z.string()),
  old_signing_keys: z.array(z.string()),
  schema: z.record(z.string(), z.union([z.number(), z.string()])),
  /** `password_config.pepper (/etc/matrix-synapse/homeserver.yaml)`: two files may have secrets of one name. */
  secrets: z.record(z.string(), z.string()),
});

export type LastSeen = z.infer<typeof lastSeenSchema>;

/** Facts about the schema that Synapse keeps of itself. */
const SCHEMA_FACTS = ['schema_version', 'schema_compat_version'];

export interface Seen {
  readonly inventory: Pick<Inventory, 'serverName' | 'signingKeys' | 'secrets' | 'merged'>;
  readonly homeserver: Pick<Manifest['homeserver'], 'kind' | 'version'>;
  readonly facts: Readonly<Record<string, number | string>>;
}

/** Pure but for `key`, the secret of this host. `oldKeyIds` of `old_signing_keys` in homeserver.yaml. */
export function lastSeenOf({ inventory, homeserver, facts }: Seen, key: Buffer, now: Date): LastSeen {
  const { old_signing_keys: old } = inventory.merged;
  const print = (name: string, value: string) =>
    createHmac('sha256', key).update(`${name}\0${value}`).digest('hex').slice(0, 32);
  return {
    v: 1,
    at: now.toISOString(),
    of_key: print('lifeboat', ''),
    server_name: inventory.serverName,
    homeserver: `${homeserver.kind} ${homeserver.version}`,
    signing_keys: Object.fromEntries(inventory.signingKeys.map((each) => [each.keyId, each.publicKey])),
    old_signing_keys: typeof old === 'object' && old !== null ? Object.keys(old).toSorted() : [],
    schema: Object.fromEntries(SCHEMA_FACTS.flatMap((name) => (name in facts ? [[name, facts[name]!]] : []))),
    secrets: Object.fromEntries(
      inventory.secrets.map(({ name, file, value }) => [`${name} (${file})`, print(name, value.reveal())]),
    ),
  };
}

/** The key of the fingerprints: derived from this host's key of the repository, so that there is no further secret to keep. */
export async function fingerprintKey(hostKeyFile: string): Promise<Buffer> {
  return createHmac('sha256', await readFile(hostKeyFile))
    .update('lifeboat fingerprints of secrets')
    .digest();
}

/** Of one homeserver: see `stateName`. */
export function lastSeenFile(stateDirectory: string, repositoryId: string, configFile: string): string {
  return join(stateDirectory, 'identity', `${stateName(repositoryId, configFile)}.json`);
}

/** Undefined: nothing is remembered, or nothing that can be read: as at the first backup. */
export async function readLastSeen(file: string): Promise<LastSeen | undefined> {
  try {
    return lastSeenSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Mode 0600. Errors: `file-unwritable`, `disk-full`. */
export async function writeLastSeen(file: string, seen: LastSeen): Promise<void> {
  await ensurePrivateDirectory(dirname(file));
  await writeDurably(file, `${JSON.stringify(lastSeenSchema.parse(seen), null, 2)}\n`);
}
