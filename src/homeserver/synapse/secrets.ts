import { readFile } from 'node:fs/promises';
import { Secret } from '../../core/secret.ts';
import type { InventoryFile, SecretEntry } from '../port.ts';
import {
  isMap,
  listAt,
  scalarAt,
  stringAt,
  valueAt,
  type Configuration,
  type YamlMap,
} from './configuration.ts';
import { parseYaml } from '../../config/yaml.ts';

/**
 * Secrets that live only in the configuration: lose the pepper and no password works any more, lose the macaroon key and
 * links sent by mail are void. Name of the inline setting, and of its twin that names a file, where there is one.
 */
const SECRET_SETTINGS: readonly (readonly [inline: string, file?: string])[] = [
  ['macaroon_secret_key', 'macaroon_secret_key_path'],
  ['form_secret', 'form_secret_path'],
  ['registration_shared_secret', 'registration_shared_secret_path'],
  ['password_config.pepper'],
  ['worker_replication_secret', 'worker_replication_secret_path'],
  ['turn_shared_secret', 'turn_shared_secret_path'],
  ['turn_password'],
  ['recaptcha_private_key', 'recaptcha_private_key_path'],
  ['redis.password', 'redis.password_path'],
  ['email.smtp_pass'],
  ['jwt_config.secret'],
  ['matrix_authentication_service.secret', 'matrix_authentication_service.secret_path'],
  ['experimental_features.msc3861.client_secret', 'experimental_features.msc3861.client_secret_path'],
  ['experimental_features.msc3861.admin_token', 'experimental_features.msc3861.admin_token_path'],
  ['oidc_config.client_secret'],
  ['manhole_settings.password'],
  ['sentry.dsn'],
  ['database.args.password'],
  ['database.args.dsn'],
];

/** Credentials inside lists of maps: list, and the settings inside. */
const SECRETS_IN_LISTS: readonly (readonly [list: string, settings: readonly string[]])[] = [
  ['oidc_providers', ['client_secret', 'client_secret_jwt_key.key']],
  [
    'media_storage_providers',
    ['config.access_key_id', 'config.secret_access_key', 'config.session_token', 'config.sse_customer_key'],
  ],
];

/** Values from the configuration and from the files it names; each is masked in every output from now on. */
export async function findSecrets(
  configuration: Configuration,
  files: readonly InventoryFile[],
  absolute: (path: string) => string,
): Promise<SecretEntry[]> {
  const found: SecretEntry[] = [];
  for (const [inline, fileSetting] of SECRET_SETTINGS) {
    const value = scalarAt(configuration, inline);
    if (value !== undefined) found.push(entry(inline, configuration.fileOf(inline.split('.')[0]!), value));
    const path = fileSetting === undefined ? undefined : stringAt(configuration, fileSetting);
    if (path !== undefined) found.push(await fromFile(inline, absolute(path)));
  }
  for (const [list, settings] of SECRETS_IN_LISTS) {
    for (const [index, item] of listAt(configuration, list).entries()) {
      if (isMap(item))
        found.push(...secretsIn(item, settings, `${list}.${index}`, configuration.fileOf(list)));
    }
  }
  for (const [index, provider] of listAt(configuration, 'oidc_providers').entries()) {
    const path = isMap(provider) ? provider['client_secret_path'] : undefined;
    if (typeof path === 'string')
      found.push(await fromFile(`oidc_providers.${index}.client_secret`, absolute(path)));
  }
  for (const { path, role } of files) {
    if (role === 'appservice') found.push(...(await appserviceTokens(path)));
  }
  return found;
}

/** Registration files are named by their `id`, as bridges are. */
async function appserviceTokens(file: string): Promise<SecretEntry[]> {
  const registration = parseYaml(await readFile(file, 'utf8'), file);
  if (!isMap(registration)) return [];
  const id = typeof registration['id'] === 'string' ? registration['id'] : file;
  return secretsIn(registration, ['as_token', 'hs_token'], `appservice ${id}`, file, ' ');
}

function secretsIn(
  map: YamlMap,
  settings: readonly string[],
  prefix: string,
  file: string,
  separator = '.',
): SecretEntry[] {
  return settings.flatMap((setting) => {
    const value = valueAt(map, setting);
    return typeof value === 'string' && value !== ''
      ? [entry(`${prefix}${separator}${setting}`, file, value)]
      : [];
  });
}

async function fromFile(name: string, file: string): Promise<SecretEntry> {
  return entry(name, file, (await readFile(file, 'utf8')).trim());
}

function entry(name: string, file: string, value: string): SecretEntry {
  return { name, file, value: new Secret(value) };
}
