import { access, constants, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InventoryFile } from '../port.ts';
import { invalid, isMap, listAt, stringAt, valueAt, type Configuration } from './configuration.ts';

/**
 * Every setting of Synapse 1.163.2 that names a file or a directory (SYNAPSE.md section 4, and synapse/config/*.py). The
 * media store and its providers are not here: they are a component of their own.
 */
interface FileSetting {
  readonly setting: string;
  readonly role: string;
  readonly component: InventoryFile['component'];
  readonly kind: 'file' | 'files' | 'directory';
  /** Synapse does not start without it. */
  readonly required?: boolean;
}

const secret = (setting: string): FileSetting => ({
  setting,
  role: 'secret',
  component: 'keys',
  kind: 'file',
  required: true,
});
const other = (setting: string, kind: FileSetting['kind'] = 'file'): FileSetting => ({
  setting,
  role: 'other',
  component: 'config',
  kind,
});

const FILE_SETTINGS: readonly FileSetting[] = [
  { setting: 'log_config', role: 'log-config', component: 'config', kind: 'file' },
  {
    setting: 'app_service_config_files',
    role: 'appservice',
    component: 'config',
    kind: 'files',
    required: true,
  },
  { setting: 'tls_certificate_path', role: 'tls-certificate', component: 'config', kind: 'file' },
  { setting: 'tls_private_key_path', role: 'tls-key', component: 'keys', kind: 'file' },
  { setting: 'saml2_config.config_path', role: 'included-config', component: 'config', kind: 'file' },
  secret('key_server_signing_keys_path'),
  secret('macaroon_secret_key_path'),
  secret('form_secret_path'),
  secret('registration_shared_secret_path'),
  secret('worker_replication_secret_path'),
  secret('turn_shared_secret_path'),
  secret('recaptcha_private_key_path'),
  secret('recaptcha_public_key_path'),
  secret('redis.password_path'),
  secret('redis.private_key_file'),
  secret('matrix_authentication_service.secret_path'),
  secret('experimental_features.msc3861.client_secret_path'),
  secret('experimental_features.msc3861.admin_token_path'),
  secret('saml2_config.sp_config.key_file'),
  secret('manhole_settings.ssh_priv_key_path'),
  secret('database.args.sslkey'),
  secret('database.args.passfile'),
  other('saml2_config.sp_config.cert_file'),
  other('manhole_settings.ssh_pub_key_path'),
  other('database.args.sslcert'),
  other('database.args.sslrootcert'),
  other('redis.certificate_file'),
  other('redis.ca_file'),
  other('redis.ca_path', 'directory'),
  other('federation_custom_ca_list', 'files'),
  other('oembed.additional_providers', 'files'),
  other('templates.custom_template_directory', 'directory'),
  other('email.template_dir', 'directory'),
  other('sso.template_dir', 'directory'),
  other('account_validity.template_dir', 'directory'),
  other('user_consent.template_dir', 'directory'),
];

/** A template directory that holds more is not one: somebody pointed the setting at `/`. */
const DIRECTORY_FILES_MAX = 2000;

export interface FoundFiles {
  readonly files: readonly InventoryFile[];
  readonly warnings: readonly string[];
}

/** Errors: `homeserver-config-invalid` where Synapse itself would not start. */
export async function findReferencedFiles(
  configuration: Configuration,
  absolute: (path: string) => string,
): Promise<FoundFiles> {
  const files: InventoryFile[] = [];
  const warnings: string[] = [];
  for (const wanted of [...FILE_SETTINGS, ...oidcKeyFiles(configuration)]) {
    for (const path of pathsOf(configuration, wanted).map(absolute)) {
      const found = wanted.kind === 'directory' ? await filesBelow(path) : await readable(path);
      if (found.problem !== undefined) {
        if (wanted.required === true)
          throw invalid(configuration, wanted.setting, `names ${path}, which ${found.problem}`);
        warnings.push(
          `${configuration.where(wanted.setting.split('.')[0]!)}: ${wanted.setting} names ${path}, which ${found.problem}`,
        );
      }
      files.push(
        ...found.paths.map((each) => ({ path: each, role: wanted.role, component: wanted.component })),
      );
    }
  }
  return { files, warnings };
}

/** `oidc_providers` is a list of maps; the settings inside have no dotted path. */
function oidcKeyFiles(configuration: Configuration): FileSetting[] {
  return listAt(configuration, 'oidc_providers').flatMap((_, index) =>
    ['client_secret_path', 'client_secret_jwt_key.key_file'].map((name) =>
      secret(`oidc_providers.${index}.${name}`),
    ),
  );
}

function pathsOf(configuration: Configuration, { setting, kind }: FileSetting): string[] {
  if (setting.startsWith('oidc_providers.')) {
    const [, index, ...rest] = setting.split('.');
    const provider = listAt(configuration, 'oidc_providers')[Number(index)];
    const path = isMap(provider) ? valueAt(provider, rest.join('.')) : undefined;
    return typeof path === 'string' && path !== '' ? [path] : [];
  }
  if (kind !== 'files') {
    const path = stringAt(configuration, setting);
    return path === undefined ? [] : [path];
  }
  return listAt(configuration, setting).map((path) => {
    if (typeof path === 'string') return path;
    throw invalid(configuration, setting, 'must be a list of paths');
  });
}

interface Found {
  readonly paths: readonly string[];
  readonly problem?: string;
}

async function readable(path: string): Promise<Found> {
  try {
    await access(path, constants.R_OK);
    return (await stat(path)).isFile() ? { paths: [path] } : { paths: [], problem: 'is not a file' };
  } catch (error) {
    return {
      paths: [],
      problem: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read',
    };
  }
}

async function filesBelow(directory: string): Promise<Found> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    if (paths.length > DIRECTORY_FILES_MAX)
      return { paths: [], problem: `holds more than ${DIRECTORY_FILES_MAX} files and is left out` };
    return { paths: paths.toSorted() };
  } catch (error) {
    return {
      paths: [],
      problem: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read',
    };
  }
}
