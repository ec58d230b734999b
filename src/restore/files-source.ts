import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseYaml } from '../config/yaml.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../core/errors.ts';
import { openMediaDirectory } from '../media/directory.ts';
import type { PlacedFile, RestoreSource, SourceMediaFile } from './source.ts';

/** What people have today, without a repository: `lifeboat drill --dump --media --signing-key --config`. */
export interface FilesSourceOptions {
  /** pg_dump custom format or plain SQL, plain or compressed with gzip or zstd. */
  readonly dump: string;
  readonly media: string;
  readonly signingKey: string;
  /** homeserver.yaml, and what else is given to Synapse with -c. */
  readonly config: readonly string[];
}

/** What cannot be fetched again from other servers; the rest may be many times as large. */
const CLASSES = ['local_content', 'local_thumbnails'];

/** Errors: `file-unreadable`, `media-unreadable`, `homeserver-config-invalid`. */
export async function filesSource(options: FilesSourceOptions): Promise<RestoreSource> {
  const [dump, signingKey] = [resolve(options.dump), resolve(options.signingKey)];
  const config = options.config.map((path) => resolve(path));
  await Promise.all([dump, signingKey, ...config].map(requireFile));
  const media = await openMediaDirectory(resolve(options.media)).catch((error: unknown) => {
    if (!isLifeboatError(error, 'media-unreadable')) throw error;
    throw new LifeboatError('media-unreadable', error.message, {
      hint: 'Correct --media: the directory that has local_content in it.',
      cause: error,
    });
  });
  const dumpStat = await stat(dump);
  return {
    id: 'files',
    description: dump,
    takenAt: dumpStat.mtime,
    serverName: await serverNameOf(config),
    homeserverVersion: undefined,
    postgresVersion: undefined,
    invariants: undefined,
    excludedData: [],
    publicKeys: undefined,
    knownMissingMedia: new Set(),
    dumps: () => [{ name: basename(dump), open: () => createReadStream(dump) }],
    async *media(): AsyncGenerator<SourceMediaFile> {
      for await (const { path, sizeBytes } of media.walk(CLASSES)) {
        yield { path, sizeBytes, sha256: undefined, open: () => media.read(path) };
      }
    },
    async mediaBytes() {
      let bytes = 0;
      for await (const { sizeBytes } of media.walk(CLASSES)) bytes += sizeBytes;
      return bytes;
    },
    placeKeys: (directory) => placeCopies([{ path: signingKey, role: 'signing-key' }], directory),
    placeConfig: (directory) =>
      placeCopies(
        config.map((path) => ({ path, role: 'homeserver-config' })),
        directory,
      ),
  };
}

async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new LifeboatError('file-unreadable', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  });
  if (!found.isFile()) throw new LifeboatError('file-unreadable', `${path} is not a file`);
}

/** The last file that names one wins, as in Synapse. */
async function serverNameOf(config: readonly string[]): Promise<string> {
  let name: unknown;
  for (const path of config) {
    const parsed = parseYaml(await readFile(path, 'utf8'), path);
    if (typeof parsed === 'object' && parsed !== null && 'server_name' in parsed) name = parsed.server_name;
  }
  if (typeof name === 'string' && name !== '') return name;
  throw new LifeboatError('homeserver-config-invalid', `${config.join(', ')}: no server_name`, {
    hint: 'Give the homeserver.yaml that belongs to the dump with --config.',
  });
}

async function placeCopies(
  files: readonly { path: string; role: string }[],
  directory: string,
): Promise<PlacedFile[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const placed: PlacedFile[] = [];
  for (const [index, { path, role }] of files.entries()) {
    // Two files may share a name (conf.d/a.yaml, other/a.yaml): the index keeps them apart and in order.
    const target = join(directory, files.length === 1 ? basename(path) : `${index}-${basename(path)}`);
    await copyFile(path, target);
    placed.push({ path: target, source: path, role });
  }
  return placed;
}
