import { stringify } from 'yaml';

export interface NewConfig {
  readonly homeserverConfig: readonly string[];
  readonly program: string | undefined;
  /** Of a homeserver in a container: path in there -> path here. */
  readonly paths?: Readonly<Record<string, string>> | undefined;
  readonly container?: string | undefined;
  /** As `database.via` has it. */
  readonly databaseVia?: object | undefined;
  /** Patterns of further files. */
  readonly extra?: readonly string[] | undefined;
  readonly repository: string;
  /** How to reach it, as lifeboat.yaml has it. */
  readonly reach?: StoreReach | undefined;
  readonly hostKeyFile: string;
  readonly adminKeyFile: string | undefined;
  readonly stateDirectory: string;
}

/** What `init` can be told of a store; there are more settings than these. */
export interface StoreReach {
  readonly s3?: {
    readonly region?: string;
    readonly access_key_id?: string;
    readonly secret_access_key?: { readonly file: string };
    readonly ca_file?: string;
  };
  readonly sftp?: { readonly identity_file?: string; readonly known_hosts_file?: string };
}

/** A lifeboat.yaml for a person to read and change. */
export function renderConfig(values: NewConfig): string {
  const homeserver = {
    kind: 'synapse',
    config: values.homeserverConfig,
    ...(values.program === undefined ? {} : { program: values.program }),
    ...(values.paths === undefined ? {} : { paths: values.paths }),
    ...(values.container === undefined ? {} : { container: values.container }),
  };
  const database =
    values.databaseVia === undefined ? '' : stringify({ database: { via: values.databaseVia } });
  const { extra = [] } = values;
  const admin = values.adminKeyFile === undefined ? {} : { admin_key_file: values.adminKeyFile };
  const repository = {
    path: values.repository,
    ...values.reach,
    host_key_file: values.hostKeyFile,
    ...admin,
    state_directory: values.stateDirectory,
  };
  return `# Lifeboat's configuration; every key is explained in docs/reference/configuration.md.
# Check it with \`lifeboat config validate\`.
${stringify({ version: 1, homeserver })}
# Database and media are read as the homeserver's own configuration says. To override, for example:
# database:
#   user: backup
#   password: {file: /etc/lifeboat/database-password}
${database}
${extra.length === 0 ? '' : `${stringify({ config: { extra } })}\n`}${stringify({ repository })}# The recovery identity is not on this host. Where drills run, name it:
#   identity_file: /path/to/identity

${stringify({ retention: { keep_daily: 7, keep_weekly: 4, keep_monthly: 12, floor: 3 } })}`;
}
