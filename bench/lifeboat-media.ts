// A backup of media alone, without a homeserver: the job's own function for media (src/jobs/backup-media.ts) with its walk,
// its reading and its reconciliation, into a repository, and the commit. What a whole backup does besides is left out: the
// discovery of Synapse, the database, and the two archives are empty. The catalogue is a file instead of a database cursor.
//
// BUILD is a directory with compiled JavaScript (bench/installed.ts), so that it starts as an installed lifeboat does; or src.
//
//   node bench/lifeboat-media.ts BUILD init DIRECTORY
//   node bench/lifeboat-media.ts BUILD backup DIRECTORY MEDIA_STORE ROWS_FILE [--without-sha256]
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type * as BackupMedia from '../src/jobs/backup-media.ts';
import type * as Lifeboat from '../src/index.ts';
import type { CatalogueRow } from '../src/media/port.ts';

const [build = '', command, directory = '', mediaStore = '', rowsFile = '', flag] = process.argv.slice(2);
const built = (file: string): string =>
  pathToFileURL(join(build, build.endsWith('src') ? file.replace(/js$/, 'ts') : file)).href;
const { createRepository, openAt, openLocalStore, systemClock, VERSION } = (await import(
  built('index.js')
)) as typeof Lifeboat;
const { backUpMedia } = (await import(built('jobs/backup-media.js'))) as typeof BackupMedia;
const place = {
  path: join(directory, 'repository'),
  hostKeyFile: join(directory, 'host.key'),
  adminKeyFile: join(directory, 'admin.key'),
  stateDirectory: join(directory, 'state'),
};
if (command === 'init') await init();
else if (command === 'backup') await backup();
else throw new Error('usage: lifeboat-media.ts init|backup DIRECTORY ...');

async function init(): Promise<void> {
  await mkdir(directory, { recursive: true });
  const { hostKeyFile, adminKeyFile, path } = place;
  const store = await openLocalStore(path);
  const made = await createRepository(store, {
    hostKeyFile,
    adminKeyFile,
    clock: systemClock,
    version: VERSION,
  });
  await writeFile(join(directory, 'identity'), `${made.recoveryIdentity!.reveal()}\n`, { mode: 0o600 });
}

async function backup(): Promise<void> {
  const repository = await openAt(place, systemClock);
  const writer = await repository.startBackup();
  const media = await backUpMedia({
    catalogue: { rows },
    directory: mediaStore,
    classes: ['local_content'],
    writer,
    seenFile: join(directory, 'state', 'media.seen'),
    compareEveryMs: 7 * 86_400_000,
    now: new Date(),
    progress: () => undefined,
  });
  const empty = await writer.addArchive([]);
  const none = { tableRows: {}, sequences: {}, indexes: [], constraints: [], triggers: [] };
  const { newBlobs } = await writer.commit({
    homeserver: { kind: 'synapse', version: '0', serverName: 'bench.example' },
    database: {
      engine: 'postgres',
      name: 'none',
      serverVersion: '0',
      clientVersion: '0',
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      extensions: [],
      owner: 'bench',
      snapshotAt: systemClock.now().toISOString(),
      dumps: [],
      excludedData: [],
      invariants: { ...none, facts: {}, digests: {}, newestEventTs: null },
    },
    media: media.component,
    keys: { archive: empty, public: [], oldSigningKeys: '' },
    config: { archive: empty, secrets: [] },
    warnings: media.warnings,
  });
  process.stdout.write(`${media.component.files} files, ${newBlobs} new blobs\n`);
}

async function* rows(): AsyncGenerator<CatalogueRow> {
  for await (const line of createInterface({ input: createReadStream(rowsFile) })) {
    const { path, sizeBytes, sha256 } = JSON.parse(line) as {
      path: string;
      sizeBytes: number;
      sha256: string;
    };
    yield {
      path,
      mediaClass: 'local_content',
      sizeBytes,
      sha256: flag === '--without-sha256' ? null : sha256,
    };
  }
}
