import { resolve } from 'node:path';
import type { StoreReach } from '../../config/index.ts';
import { EXIT, LifeboatError } from '../../core/errors.ts';
import { initialise, planInit, type InitFiles, type InitOptions } from '../../jobs/init.ts';
import type { Inventory } from '../../homeserver/port.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';
import { chooseHomeserver } from '../homeserver-layout.ts';
import { table } from '../terminal.ts';

interface InitFlags {
  readonly homeserverConfig?: readonly string[];
  readonly layout?: string;
  readonly config?: string;
  readonly recipient?: readonly string[];
  readonly identityOut?: string;
  readonly adminKeyOut?: string;
  readonly stateDirectory?: string;
  readonly program?: string;
  readonly s3Region?: string;
  readonly s3AccessKeyId?: string;
  readonly s3SecretKeyFile?: string;
  readonly s3CaFile?: string;
  readonly sshKey?: string;
  readonly sshKnownHosts?: string;
  readonly dryRun?: true;
}

export const initCommand = defineCommand<InitFlags>({
  name: 'init',
  summary: 'make a repository and lifeboat.yaml for a homeserver',
  description:
    'Finds everything through the homeserver’s configuration, makes an encrypted repository, the key of this host and lifeboat.yaml. ' +
    'The recovery identity opens all snapshots and does not stay here: write it to a file with --identity-out and carry it away, or give ' +
    '--recipient of one that you have. Simple mode keeps the admin key on this host, so that `prune` works every night: who takes over ' +
    'the host could then remove snapshots. Hardened mode (--admin-key-out) does not: the host can only add.',
  arguments: [],
  options: [
    {
      flags: '--homeserver-config <FILE>',
      description: 'homeserver.yaml; repeat for each -c of Synapse (default: the one that is found)',
      repeatable: true,
    },
    {
      flags: '--layout <NAME>',
      description: 'how it was installed, where several are found: debian, venv, compose, ansible, helm',
    },
    { flags: '--config <FILE>', description: 'where lifeboat.yaml is written (default: ./lifeboat.yaml)' },
    {
      flags: '--recipient <AGE>',
      description: 'age1... of an identity that exists; may be repeated',
      repeatable: true,
    },
    { flags: '--identity-out <FILE>', description: 'write the new recovery identity to this file' },
    {
      flags: '--admin-key-out <FILE>',
      description: 'hardened mode: write the admin key here, to be carried away',
    },
    {
      flags: '--state-directory <DIR>',
      description: 'where this host remembers what it saw of the repository',
    },
    {
      flags: '--program <PYTHON>',
      description: 'interpreter of the Synapse installation, where it is not found by itself',
    },
    { flags: '--s3-region <REGION>', description: 'of the bucket (AWS_REGION, else us-east-1)' },
    { flags: '--s3-access-key-id <ID>', description: 'access key of the bucket (AWS_ACCESS_KEY_ID)' },
    {
      flags: '--s3-secret-key-file <FILE>',
      description: 'its first line is the secret key (AWS_SECRET_ACCESS_KEY)',
    },
    { flags: '--s3-ca-file <FILE>', description: 'certificate authority of the S3 server' },
    { flags: '--ssh-key <FILE>', description: 'key for sftp:, where ~/.ssh/config does not name one' },
    { flags: '--ssh-known-hosts <FILE>', description: 'host keys for sftp: (~/.ssh/known_hosts)' },
    { flags: '-n, --dry-run', description: 'show what was found and what would be made, and make nothing' },
  ],
  examples: [
    {
      command:
        'lifeboat init --homeserver-config /etc/matrix-synapse/homeserver.yaml --repository /srv/lifeboat --config /etc/lifeboat/lifeboat.yaml --identity-out /root/identity',
      meaning: 'Simple: then carry /root/identity away.',
    },
    {
      command: 'lifeboat init -r /mnt/backup --recipient age1... --admin-key-out /media/usb/admin.key',
      meaning: 'Hardened: the host can only add.',
    },
    {
      command:
        'lifeboat init -r sftp:lifeboat@backup.example:repository --ssh-key /etc/lifeboat/ssh_key --ssh-known-hosts /etc/lifeboat/known_hosts --identity-out /root/identity',
      meaning: 'On another machine, with a key for this alone.',
    },
  ],
  exits: {
    failed: EXIT_MEANING.failed,
    preflightRefused:
      'there is a repository or a key already, or something of the homeserver is missing; nothing was made',
  },
  run: async ({ options }, context) => {
    const { output } = context;
    const settings = await settingsOf(options, context);
    if (options.dryRun === true) {
      const { inventory, files } = await planInit(settings);
      output.message('summary', {
        command: 'init',
        dry_run: true,
        server_name: inventory.serverName,
        layout: settings.layout?.layout ?? null,
        files,
        warnings: [...inventory.warnings, ...(settings.layout?.notes ?? [])],
      });
      output.print(describe(inventory, files, settings));
      return EXIT.ok;
    }
    requireWayForIdentity(settings, context);
    const { inventory, identity, files, repositoryId, recipients } = await initialise(settings);
    for (const warning of [...inventory.warnings, ...(settings.layout?.notes ?? [])]) output.warn(warning);
    output.message('summary', {
      command: 'init',
      repository: repositoryId,
      location: settings.repository,
      server_name: inventory.serverName,
      layout: settings.layout?.layout ?? null,
      recipients,
      files,
    });
    output.print(describe(inventory, files, settings));
    output.print('');
    if (identity !== undefined) {
      output.print(
        'The recovery identity. It opens all snapshots, and is shown only now: keep it away from this host.',
      );
      output.reveal(identity);
    } else if (files.identityFile !== undefined) {
      output.print(
        `The recovery identity is in ${files.identityFile}. It opens all snapshots: carry it away from this host.`,
      );
    }
    if (settings.adminKeyOut !== undefined)
      output.print(`The admin key is in ${files.adminKeyFile}. It removes snapshots: carry it away too.`);
    output.print(settings.adminKeyOut === undefined ? THIEF_SIMPLE : THIEF_HARDENED);
    output.print('Next: lifeboat doctor, then lifeboat backup.');
    return EXIT.ok;
  },
});

const THIEF_SIMPLE =
  'Simple mode: whoever takes over this host cannot read old snapshots, but can delete them. `lifeboat init --help` has the hardened mode.';
const THIEF_HARDENED =
  'Hardened mode: whoever takes over this host can neither read old snapshots nor forget them; deleting files of the repository is up to its disk.';

async function settingsOf(options: InitFlags, { flags, env, clock }: CommandContext): Promise<InitOptions> {
  const repository = flags.repository ?? env['LIFEBOAT_REPOSITORY'];
  if (repository === undefined || repository === '') {
    throw new LifeboatError('usage', 'init needs --repository PLACE', {
      hint: 'Name a directory on another disk than the homeserver’s, s3:https://HOST/BUCKET/PREFIX, or sftp:USER@HOST:/PATH.',
    });
  }
  return {
    ...(await chooseHomeserver(options.homeserverConfig, options.layout)),
    program: options.program,
    repository,
    reach: reachOf(options, repository),
    configFile: options.config ?? flags.config ?? env['LIFEBOAT_CONFIG'] ?? 'lifeboat.yaml',
    recipients: options.recipient ?? [],
    identityOut: options.identityOut,
    adminKeyOut: options.adminKeyOut,
    stateDirectory: options.stateDirectory,
    clock,
  };
}

/** Errors: `usage`: a flag for another kind of store than the repository's. */
function reachOf(options: InitFlags, repository: string): StoreReach {
  const at = (path: string | undefined) => path && resolve(path);
  const { s3SecretKeyFile } = options;
  const s3 = given({
    region: options.s3Region,
    access_key_id: options.s3AccessKeyId,
    secret_access_key: s3SecretKeyFile && { file: resolve(s3SecretKeyFile) },
    ca_file: at(options.s3CaFile),
  });
  const sftp = given({ identity_file: at(options.sshKey), known_hosts_file: at(options.sshKnownHosts) });
  for (const [block, scheme, flags] of [
    [s3, 's3:', '--s3-...'],
    [sftp, 'sftp:', '--ssh-...'],
  ] as const) {
    if (block === undefined || repository.startsWith(scheme)) continue;
    throw new LifeboatError('usage', `${flags} is for a repository at ${scheme}, not at ${repository}`, {
      hint: `Leave ${flags} out, or correct --repository.`,
    });
  }
  return { ...(s3 && { s3 }), ...(sftp && { sftp }) };
}

/** Only what was given; undefined when that is nothing. */
function given<Block extends object>(
  block: Block,
): { [Key in keyof Block]?: Exclude<Block[Key], undefined | ''> } | undefined {
  const entries = Object.entries(block).filter(([, value]) => value !== undefined && value !== '');
  return entries.length === 0
    ? undefined
    : (Object.fromEntries(entries) as { [Key in keyof Block]?: Exclude<Block[Key], undefined | ''> });
}

/** A secret that is printed where nobody reads it stays in a log for ever. */
function requireWayForIdentity({ recipients, identityOut }: InitOptions, { output }: CommandContext): void {
  if (recipients.length > 0 || identityOut !== undefined || (output.interactive && !output.json)) return;
  throw new LifeboatError('usage', 'nobody is there to read the recovery identity', {
    hint: 'Give --identity-out FILE, or --recipient of an identity that you have.',
  });
}

function describe(
  { serverName, version, files: found, signingKeys, database, mediaStorePath }: Inventory,
  files: InitFiles,
  { repository, layout }: InitOptions,
): string {
  return table([
    ['server', serverName],
    ...(layout === undefined ? [] : [['layout', `${layout.title}: ${layout.because}`]]),
    [
      'homeserver',
      `synapse ${version ?? 'of unknown version'}, ${found.length} files of configuration and keys`,
    ],
    ['signing keys', signingKeys.map(({ keyId }) => keyId).join(', ')],
    ['database', `${database.database} at ${database.host}:${database.port}`],
    ['media', mediaStorePath],
    ['repository', repository],
    ['configuration', files.configFile],
    ['host key', files.hostKeyFile],
    ['admin key', files.adminKeyFile],
    ['state', files.stateDirectory],
  ]);
}
