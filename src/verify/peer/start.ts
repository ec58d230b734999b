import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { newSeed } from '../../core/ed25519.ts';
import { LifeboatError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { createDatabase } from '../../database/index.ts';
import type { PostgresTarget } from '../../database/port.ts';
import type { DrillCa } from '../../environment/ca.ts';
import type { Environment } from '../../environment/port.ts';
import { formatSigningKey, startArgv } from '../../homeserver/index.ts';
import type { RestoreContext } from '../../restore/context.ts';
import { waitUntilReady } from '../../restore/readiness.ts';
import { encodeBase64 } from '../events/base64.ts';

export interface PeerPlace {
  readonly environment: Environment;
  readonly program: string;
  /** With its port. */
  readonly name: string;
  readonly port: number;
  readonly clientPort: number;
  readonly ca: DrillCa;
  readonly registrationSecret: Secret;
}

const READY_TIMEOUT_MS = 120_000;
const DATABASE = 'peer';

/** An empty Synapse of the same version beside the restored one. Errors: `start-failed`, `drill-impossible`. */
export async function startPeer(
  place: PeerPlace,
  { target, clock, signal }: RestoreContext,
): Promise<{ connectClient: () => Promise<Duplex> }> {
  if (target.admin === undefined)
    throw new LifeboatError('drill-impossible', 'a second homeserver needs a database of its own');
  await createDatabase(target.admin, DATABASE, target.database.user);
  const directory = join(place.environment.directory, 'peer');
  await mkdir(directory, { mode: 0o700 });
  const { certificatePem, keyPem } = await place.ca.issue([place.name.split(':')[0]!]);
  const files = {
    'tls.crt': certificatePem,
    'tls.key': keyPem,
    'ca.crt': place.ca.certificatePem,
    'signing.key': `${formatSigningKey({ keyId: 'ed25519:peer', seed: new Secret(encodeBase64(newSeed())) })}\n`,
    'log.yaml':
      'version: 1\nhandlers: {console: {class: logging.StreamHandler, stream: "ext://sys.stdout"}}\nroot: {level: INFO, handlers: [console]}\n',
    // JSON is YAML.
    'homeserver.yaml': JSON.stringify(
      configuration(place, directory, { ...target.database, database: DATABASE }),
      null,
      2,
    ),
  };
  for (const [name, text] of Object.entries(files))
    await writeFile(join(directory, name), text, { mode: 0o600 });
  await place.environment.handOver(directory);
  const argv = startArgv({ program: place.program, configFiles: [join(directory, 'homeserver.yaml')] });
  const service = await place.environment.run('peer', { argv, cwd: directory });
  const connectClient = () => place.environment.connect(place.clientPort);
  await waitUntilReady(service, { connectClient, timeoutMs: READY_TIMEOUT_MS, clock, signal });
  return { connectClient };
}

/** The least that federates on one machine: a private CA, no block lists (loopback is on the default ones), no key servers. */
function configuration(place: PeerPlace, directory: string, database: PostgresTarget): object {
  const listener = { bind_addresses: ['127.0.0.1'], type: 'http' };
  return {
    server_name: place.name,
    public_baseurl: `http://127.0.0.1:${place.clientPort}/`,
    pid_file: join(directory, 'homeserver.pid'),
    report_stats: false,
    suppress_key_server_warning: true,
    listeners: [
      { ...listener, port: place.clientPort, tls: false, resources: [{ names: ['client'] }] },
      { ...listener, port: place.port, tls: true, resources: [{ names: ['federation'] }] },
    ],
    tls_certificate_path: join(directory, 'tls.crt'),
    tls_private_key_path: join(directory, 'tls.key'),
    federation_custom_ca_list: [join(directory, 'ca.crt')],
    trusted_key_servers: [],
    ip_range_blacklist: [],
    database: {
      name: 'psycopg2',
      args: {
        host: database.host,
        port: database.port,
        user: database.user,
        dbname: database.database,
        cp_min: 1,
        cp_max: 5,
      },
    },
    media_store_path: join(directory, 'media_store'),
    signing_key_path: join(directory, 'signing.key'),
    log_config: join(directory, 'log.yaml'),
    registration_shared_secret: place.registrationSecret.reveal(),
    macaroon_secret_key: new Secret(encodeBase64(newSeed())).reveal(),
    form_secret: new Secret(encodeBase64(newSeed())).reveal(),
  };
}
