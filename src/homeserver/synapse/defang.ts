import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import type { Secret } from '../../core/secret.ts';
import type { PostgresTarget } from '../../database/port.ts';
import type { Inventory } from '../port.ts';
import { isMap } from './configuration.ts';
import { ALWAYS, RATE_LIMITS, SECRET_FILES, WHEN_PRESENT, type Neutral } from './defang-settings.ts';

/** Where the pieces of a drill lie and listen. */
export interface Drill {
  /** The log configuration goes here. */
  readonly directory: string;
  /** What the copy writes for itself goes here. */
  readonly home: string;
  readonly databaseTarget: PostgresTarget;
  /** Ignored when the key stands inline in homeserver.yaml. */
  readonly signingKeyPath: string;
  readonly mediaStorePath: string;
  /** Plain HTTP for clients, on 127.0.0.1. */
  readonly clientPort: number;
  /** TLS for federation, on 127.0.0.1. */
  readonly federationPort: number;
  readonly tlsCert: string;
  readonly tlsKey: string;
  /** The drill's CA: the only one that federation trusts. */
  readonly caFile: string;
  /** The only servers that the copy talks to and listens to. */
  readonly probeNames: readonly string[];
  readonly registrationSecret: Secret;
  /** Secret files that were restored: path in homeserver.yaml -> where it lies now. */
  readonly placedSecrets?: Readonly<Record<string, string>>;
}

export interface Change {
  readonly setting: string;
  readonly reason: string;
}

export interface Defanged {
  /** Top-level keys of the overlay. Holds the registration secret in clear, as `yaml` does: mode 0600. */
  readonly overlay: Readonly<Record<string, unknown>>;
  /** To be given as the last `-c`. */
  readonly yaml: string;
  /** What `log_config` points at: everything to standard output. */
  readonly logConfig: { readonly path: string; readonly yaml: string };
  /** Settings whose effect differs from the original, for the report. */
  readonly changes: readonly Change[];
}

/**
 * The overlay that starts a restored copy without letting it do harm; the restored homeserver.yaml stays untouched. It is the
 * second fence: the first is a network namespace without a way out.
 */
export function defang({ merged }: Pick<Inventory, 'merged'>, drill: Drill): Defanged {
  const logConfigPath = join(drill.directory, 'log.yaml');
  const settings = [
    ...ALWAYS,
    ...federationOf(drill),
    ...placeOf(drill, logConfigPath, merged),
    ...WHEN_PRESENT.filter(({ setting }) => setting in merged),
    ...secretFilesOf(drill, merged),
    ...delegatedLoginOf(merged),
    ...RATE_LIMITS,
  ];
  return {
    overlay: Object.fromEntries(settings.map(({ setting, value }) => [setting, value])),
    yaml: toYaml(settings),
    logConfig: { path: logConfigPath, yaml: LOG_CONFIG },
    changes: settings
      .filter((each) => changes(each, merged))
      .map(({ setting, reason }) => ({ setting, reason })),
  };
}

/** A key that is missing has its default; Synapse treats null and missing alike everywhere that we write null. */
function changes(
  { setting, value, default: fallback }: Neutral,
  merged: Readonly<Record<string, unknown>>,
): boolean {
  const original = setting in merged ? merged[setting] : fallback;
  return !isDeepStrictEqual(original ?? null, value ?? null);
}

function federationOf({ probeNames, caFile }: Drill): Neutral[] {
  return [
    set('federation_domain_whitelist', [...probeNames], 'federation with the probe only, in and out'),
    // The whitelist fences it; switched off, the probe could not receive what users of the copy send.
    { ...set('send_federation', true, 'the main process sends to the probe'), default: true },
    set('federation_custom_ca_list', [caFile], 'certificates of the drill only'),
  ];
}

function placeOf(drill: Drill, logConfigPath: string, merged: Readonly<Record<string, unknown>>): Neutral[] {
  const loopback = { bind_addresses: ['127.0.0.1'], type: 'http', x_forwarded: false };
  const where = 'the place of the drill';
  return [
    set(
      'listeners',
      [
        {
          ...loopback,
          port: drill.clientPort,
          tls: false,
          resources: [{ names: ['client', 'federation'], compress: false }],
        },
        {
          ...loopback,
          port: drill.federationPort,
          tls: true,
          resources: [{ names: ['federation', 'client'], compress: false }],
        },
      ],
      'loopback only; nobody but the checks gets an answer',
    ),
    set('tls_certificate_path', drill.tlsCert, 'a certificate of the drill, which ends with it'),
    set('tls_private_key_path', drill.tlsKey, 'a certificate of the drill, which ends with it'),
    set('public_baseurl', `http://127.0.0.1:${drill.clientPort}/`, where),
    { ...set('serve_server_wellknown', false, where), default: false },
    set('database', databaseBlock(drill.databaseTarget), 'the restored database'),
    set('media_store_path', drill.mediaStorePath, 'the restored media'),
    // An inline key cannot be taken out by an overlay, and is the restored one anyway.
    ...('signing_key' in merged ? [] : [set('signing_key_path', drill.signingKeyPath, 'the restored key')]),
    set('pid_file', join(drill.home, 'homeserver.pid'), where),
    set('log_config', logConfigPath, where),
    set(
      'registration_shared_secret',
      drill.registrationSecret.reveal(),
      'a secret of the drill, to make its user',
    ),
    {
      ...set('registration_shared_secret_path', null, 'a secret of the drill, to make its user'),
      default: null,
    },
  ];
}

function databaseBlock({ host, port, user, password, database }: PostgresTarget): object {
  const secret = password === undefined ? {} : { password: password.reveal() };
  return { name: 'psycopg2', args: { host, port, user, ...secret, dbname: database, cp_min: 1, cp_max: 10 } };
}

function secretFilesOf({ placedSecrets = {} }: Drill, merged: Readonly<Record<string, unknown>>): Neutral[] {
  return SECRET_FILES.flatMap((setting) => {
    const original = merged[setting];
    if (typeof original !== 'string') return [];
    const placed = placedSecrets[original];
    return [
      set(
        setting,
        placed ?? null,
        placed === undefined ? 'the file is not part of the drill' : 'the restored file',
      ),
    ];
  });
}

/**
 * MSC3861, as Element's chart had it: logins would ask a service that is not there, with secrets from files that are not there. Taken
 * out whole: Synapse 1.163.2 starts with no `msc3861` at all, switched off or not.
 */
function delegatedLoginOf(merged: Readonly<Record<string, unknown>>): Neutral[] {
  const features = merged['experimental_features'];
  if (!isMap(features) || !('msc3861' in features)) return [];
  const { msc3861: _, ...without } = features;
  return [set('experimental_features', without, 'the authentication service is not part of the drill')];
}

function set(setting: string, value: unknown, reason: string): Neutral {
  return { setting, value, reason, default: undefined };
}

/** JSON is YAML: one key a line, each with its reason. */
function toYaml(settings: readonly Neutral[]): string {
  const head = '# Written by lifeboat for a drill. Given as the last -c, it wins over the restored files.\n';
  return (
    head +
    settings
      .map(({ setting, value, reason }) => `\n# ${reason}\n${setting}: ${JSON.stringify(value)}\n`)
      .join('')
  );
}

const LOG_CONFIG = `version: 1
formatters:
  precise: { format: '%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s' }
handlers:
  console: { class: logging.StreamHandler, formatter: precise, stream: 'ext://sys.stdout' }
root: { level: INFO, handlers: [console] }
loggers:
  synapse.storage.SQL: { level: INFO }
disable_existing_loggers: false
`;
