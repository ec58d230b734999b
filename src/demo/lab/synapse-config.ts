import { randomBytes } from 'node:crypto';
import { Secret } from '../../core/secret.ts';
import type { PostgresTarget } from '../../database/port.ts';
import type { LabCertificate } from './certificates.ts';

export interface SynapseConfigValues {
  readonly directory: string;
  readonly serverName: string;
  readonly clientPort: number;
  readonly federationPort: number;
  readonly database: PostgresTarget;
  readonly certificate: LabCertificate;
  readonly registrationSecret: Secret;
  readonly appserviceFiles: readonly string[];
  /** Further top-level keys, as YAML. */
  readonly extraConfig: string;
}

const UNLIMITED = '{per_second: 10000, burst_count: 10000}';

/**
 * homeserver.yaml of a Synapse that federates on loopback only, as an administrator would write it. Where the defaults keep
 * servers from meeting on one machine, or slow down what is no attack here, a comment says so.
 */
export function synapseConfig(values: SynapseConfigValues): string {
  const { directory, serverName, clientPort, federationPort, database, certificate, appserviceFiles } =
    values;
  return `server_name: "${serverName}"
public_baseurl: "http://127.0.0.1:${clientPort}/"
pid_file: "${directory}/homeserver.pid"
report_stats: false
suppress_key_server_warning: true

listeners:
  - port: ${clientPort}
    bind_addresses: ["127.0.0.1"]
    type: http
    tls: false
    x_forwarded: true
    resources: [{names: [client], compress: false}]
  - port: ${federationPort}
    bind_addresses: ["127.0.0.1"]
    type: http
    tls: true
    resources: [{names: [federation], compress: false}]
tls_certificate_path: "${certificate.certificateFile}"
tls_private_key_path: "${certificate.keyFile}"

# Federation with servers of this machine: a private authority, and loopback is not forbidden.
federation_custom_ca_list: ["${certificate.caFile}"]
ip_range_blacklist: []
trusted_key_servers: []
federation:
  destination_min_retry_interval: 1s
  destination_max_retry_interval: 5s
  max_short_retries: 1
  max_long_retries: 2
allow_public_rooms_over_federation: true
allow_public_rooms_without_auth: true
room_list_publication_rules: [{action: allow}]

database:
  name: psycopg2
  args:
    user: "${database.user}"
    password: "${secretText(database.password)}"
    dbname: "${database.database}"
    host: "${database.host}"
    port: ${database.port}
    cp_min: 2
    cp_max: 10

media_store_path: "${directory}/media_store"
max_upload_size: 50M
signing_key_path: "${directory}/${serverName.split(':')[0]}.signing.key"
log_config: "${directory}/log.yaml"
app_service_config_files: ${JSON.stringify(appserviceFiles)}

registration_shared_secret: "${values.registrationSecret.reveal()}"
macaroon_secret_key: "${newSecret()}"
form_secret: "${newSecret()}"
password_config: {enabled: true, pepper: "${newSecret()}"}
user_directory: {enabled: true, search_all_users: true}

# People of the lab type fast.
bcrypt_rounds: 4
rc_message: ${UNLIMITED}
rc_registration: ${UNLIMITED}
rc_room_creation: ${UNLIMITED}
rc_media_create: ${UNLIMITED}
rc_joins_per_room: ${UNLIMITED}
rc_login: {address: ${UNLIMITED}, account: ${UNLIMITED}, failed_attempts: ${UNLIMITED}}
rc_joins: {local: ${UNLIMITED}, remote: ${UNLIMITED}}
rc_invites: {per_room: ${UNLIMITED}, per_user: ${UNLIMITED}, per_issuer: ${UNLIMITED}}
rc_federation: {window_size: 1000, sleep_limit: 100000, sleep_delay: 1, reject_limit: 100000, concurrent: 50}
${values.extraConfig}`;
}

export function synapseLogConfig(directory: string): string {
  return `version: 1
formatters:
  precise: {format: "%(asctime)s - %(name)s - %(levelname)s - %(request)s - %(message)s"}
handlers:
  file: {class: logging.FileHandler, filename: "${directory}/homeserver.log", formatter: precise, encoding: utf8}
root: {level: WARNING, handlers: [file]}
disable_existing_loggers: false
`;
}

function newSecret(): string {
  return new Secret(randomBytes(16).toString('hex')).reveal();
}

function secretText(secret: Secret | undefined): string {
  return secret?.reveal() ?? '';
}
