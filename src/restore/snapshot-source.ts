import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { openExternalMedia, type ExternalMedia, type MediaAccess } from '../media/external.ts';
import { readAccounts } from '../repository/accounts.ts';
import { rolesSql } from '../database/index.ts';
import type { ArchiveRef, DatabaseDumpFile } from '../repository/manifest.ts';
import { extractArchive } from '../repository/archive.ts';
import type { Repository } from '../repository/port.ts';
import type { DumpFile, PlacedFile, RestoreSource, SourceMediaFile } from './source.ts';

export interface SnapshotSourceOptions extends MediaAccess {
  /** Keys and configuration are given to their owners of old, where this machine has them; that takes root. */
  readonly keepOwners?: boolean;
}

/**
 * A snapshot as the source of a restore, and how media outside of the repository are reached. Errors: those of
 * `Repository.manifest`.
 */
export async function snapshotSource(
  repository: Repository,
  snapshotId: string,
  { keepOwners = false, ...access }: SnapshotSourceOptions = {},
): Promise<RestoreSource> {
  const manifest = await repository.manifest(snapshotId);
  const external = await openExternalMedia(manifest.media, access);
  const { database } = manifest;
  return {
    id: manifest.snapshotId,
    description: repository.location,
    takenAt: new Date(database.snapshotAt),
    serverName: manifest.homeserver.serverName,
    homeserverVersion: manifest.homeserver.version,
    postgresVersion: database.serverVersion,
    dumpMajor: Number.parseInt(database.clientVersion, 10),
    invariants: database.invariants,
    excludedData: database.excludedData,
    publicKeys: manifest.keys.public,
    ...(database.physical === undefined
      ? {}
      : { physical: { backup: database.physical, database: database.name } }),
    knownMissingMedia: new Set(manifest.media.missing),
    dumps: () => database.dumps.map((dump) => dumpFile(repository, dump)),
    rolesSql: [manifest.database, ...(manifest.databases ?? [])].flatMap(rolesSql),
    databases: (manifest.databases ?? []).map(({ dumps, ...about }) => ({
      ...about,
      dumps: () => dumps.map((dump) => dumpFile(repository, dump)),
    })),
    media: () => mediaOf(repository, snapshotId, external),
    mediaBytes: () => Promise.resolve(manifest.media.bytes),
    placeKeys: (directory) => placeArchive(repository, manifest.keys.archive, directory, keepOwners),
    placeConfig: (directory) => placeArchive(repository, manifest.config.archive, directory, keepOwners),
  };
}

function dumpFile(repository: Repository, { name, content, section }: DatabaseDumpFile): DumpFile {
  return { name, content, section, open: () => repository.read(content) };
}

async function* mediaOf(
  repository: Repository,
  snapshotId: string,
  external: ExternalMedia | undefined,
): AsyncGenerator<SourceMediaFile> {
  for await (const file of repository.mediaFilesByPack(snapshotId)) {
    const { path, sizeBytes, sha256, blobs } = file;
    if (external !== undefined) {
      yield { path, sizeBytes, sha256, open: () => external.read(file) };
      continue;
    }
    const content = { sizeBytes, sha256, blobs };
    const open = () => repository.read(content);
    yield { path, sizeBytes, sha256, open, whole: () => repository.readWhole(content) };
  }
}

async function placeArchive(
  repository: Repository,
  archive: ArchiveRef,
  directory: string,
  keepOwners: boolean,
): Promise<PlacedFile[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Keys and configuration are kilobytes; the extractor validates the whole tar before it writes the first file.
  const tar = await buffer(repository.readArchive(archive));
  const accounts = keepOwners && process.getuid?.() === 0 ? await readAccounts() : undefined;
  await extractArchive(tar, archive.files, directory, (file) => accounts?.ownerOf(file));
  return archive.files.map(({ path, source, role, inside }) => ({
    path: join(directory, path),
    source,
    role,
    ...(inside === undefined ? {} : { inside }),
  }));
}
