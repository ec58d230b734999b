import { lstat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseConfig, renderConfig, resolvePlace, type StoreReach } from '../config/index.ts';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { homeserverOf, type FoundLayout } from '../homeserver/index.ts';
import type { Inventory } from '../homeserver/port.ts';
import { createRepository } from '../repository/index.ts';
import { generateIdentity } from '../repository/seal.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';
import { openStore } from '../storage/open.ts';
import { requireCreateOnly } from '../storage/probe/create-only.ts';
import { VERSION } from './version.ts';

export interface InitOptions {
  /** homeserver.yaml, in the order of `-c` flags. */
  readonly homeserverConfig: readonly string[];
  readonly program?: string | undefined;
  /** How the homeserver was installed, where that was found out. */
  readonly layout?: FoundLayout | undefined;
  readonly repository: string;
  /** Of a server: how it is reached, now and by every backup. */
  readonly reach?: StoreReach | undefined;
  /** Where lifeboat.yaml is written; the host key lies beside it. */
  readonly configFile: string;
  /** age recipients (`age1...`) of identities that exist already; none: a new identity is made. */
  readonly recipients: readonly string[];
  /** File for the new identity; undefined: it is returned, and kept nowhere. */
  readonly identityOut?: string | undefined;
  /** Hardened mode: the admin key is written here, to be carried away, and lifeboat.yaml does not name it. */
  readonly adminKeyOut?: string | undefined;
  readonly stateDirectory?: string | undefined;
  readonly clock: Clock;
}

export interface InitOutcome {
  readonly inventory: Inventory;
  readonly repositoryId: string;
  readonly recipients: readonly string[];
  /** To be shown once; undefined when it was written to a file, or when recipients were given. */
  readonly identity: Secret | undefined;
  readonly files: InitFiles;
}

export interface InitFiles {
  readonly configFile: string;
  readonly hostKeyFile: string;
  readonly adminKeyFile: string;
  readonly identityFile: string | undefined;
  readonly stateDirectory: string;
}

/** Reads the homeserver, and says which files `init` would make. Writes nothing. Errors: those of discovery, `usage`. */
export async function planInit(
  options: InitOptions,
): Promise<{ readonly inventory: Inventory; readonly files: InitFiles }> {
  const { homeserverConfig, layout } = options;
  const program = options.program ?? layout?.program;
  const inventory = await homeserverOf('synapse').discover({
    configFiles: homeserverConfig.map((path) => resolve(path)),
    ...(program === undefined ? {} : { program }),
    ...(layout?.paths === undefined ? {} : { paths: layout.paths }),
    ...(layout?.container === undefined ? {} : { container: layout.container }),
  });
  const files = filesOf(options);
  for (const file of [files.configFile, files.hostKeyFile, files.adminKeyFile, files.identityFile]) {
    if (file !== undefined) await refuseExisting(file);
  }
  return { inventory, files };
}

/** Makes key files, repository and lifeboat.yaml. Errors: as `planInit`, `repository-exists`, `file-unwritable`. */
export async function initialise(options: InitOptions): Promise<InitOutcome> {
  const { inventory, files } = await planInit(options);
  const { configFile, hostKeyFile, adminKeyFile, identityFile, stateDirectory } = files;
  const { layout } = options;
  const text = renderConfig({
    homeserverConfig: options.homeserverConfig.map((path) => resolve(path)),
    // Of a homeserver in a container the program is not on this machine; what is here may be another version.
    program: layout?.container === undefined ? inventory.program : options.program,
    paths: layout?.paths,
    container: layout?.container,
    databaseVia: layout?.databaseVia,
    extra: layout?.extra,
    repository: resolvePlace('.', options.repository),
    reach: options.reach,
    hostKeyFile,
    adminKeyFile: options.adminKeyOut === undefined ? adminKeyFile : undefined,
    stateDirectory,
  });
  // Reached as every backup will: by what stands in the file.
  const store = await openStore((await parseConfig(text, configFile, {})).repository);
  if (store.capabilities.createOnly !== 'link') await requireCreateOnly(store);
  await ensurePrivateDirectory(dirname(configFile));
  // On the disk before anything is encrypted to it.
  const made = options.recipients.length > 0 ? undefined : await generateIdentity();
  if (made !== undefined && identityFile !== undefined)
    await writeIdentity(identityFile, made, options.clock);
  const undo: (() => Promise<void>)[] = [];
  const undone = async (cause: unknown): Promise<never> => {
    // Nothing is encrypted to the identity yet.
    for (const step of undo.toReversed()) await step().catch(() => undefined);
    throw cause;
  };
  if (made !== undefined && identityFile !== undefined) undo.push(() => unlink(identityFile));
  // Before the repository: one whose identity is shown to nobody, because something fails afterwards, opens for nobody.
  await writeDurably(configFile, text, { mode: 0o600, exclusive: true }).catch(undone);
  undo.push(() => unlink(configFile));
  const created = await createRepository(store, {
    recipients: made === undefined ? options.recipients : [made.recipient],
    hostKeyFile,
    adminKeyFile,
    clock: options.clock,
    version: VERSION,
  }).catch(undone);
  const { repositoryId, recipients } = created;
  return {
    inventory,
    repositoryId,
    recipients,
    identity: identityFile === undefined ? made?.identity : undefined,
    files,
  };
}

function filesOf(options: InitOptions): InitFiles {
  const configFile = resolve(options.configFile);
  const directory = dirname(configFile);
  // The usual places (hier(7), file-hierarchy(7)) when the configuration is in one of them.
  const state = configFile.startsWith('/etc/') ? '/var/lib/lifeboat' : join(directory, 'lifeboat-state');
  return {
    configFile,
    hostKeyFile: join(directory, 'host.key'),
    adminKeyFile:
      options.adminKeyOut === undefined ? join(directory, 'admin.key') : resolve(options.adminKeyOut),
    identityFile:
      options.recipients.length > 0 || options.identityOut === undefined
        ? undefined
        : resolve(options.identityOut),
    stateDirectory: resolve(options.stateDirectory ?? state),
  };
}

async function refuseExisting(file: string): Promise<void> {
  const there = await lstat(file).catch(() => undefined);
  if (there === undefined) return;
  throw new LifeboatError('repository-exists', `${file} exists already`, {
    hint: 'It may belong to another repository: name another place, or move it away.',
    context: { file },
  });
}

/** As `age-keygen` writes it, so that `age -d -i` takes it. */
async function writeIdentity(
  file: string,
  { identity, recipient }: { identity: Secret; recipient: string },
  clock: Clock,
): Promise<void> {
  await ensurePrivateDirectory(dirname(file));
  const text = `# created: ${clock.now().toISOString()}\n# public key: ${recipient}\n${identity.reveal()}\n`;
  if ((await writeDurably(file, text, { mode: 0o600, exclusive: true })) === 'exists')
    await refuseExisting(file);
}
