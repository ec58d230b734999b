import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { endOfForeignFile } from '../../core/foreign-file.ts';
import { maskSecrets } from '../../core/secret.ts';

export interface TextFile {
  /** Path inside the bundle. */
  readonly name: string;
  readonly text: string;
}

export interface BundledFile {
  /** Path inside the bundle. */
  readonly name: string;
  readonly body: string | Uint8Array;
}

/** The end of a log tells why; a homeserver that runs wild writes gigabytes. */
const LONGEST_LOG = 4 * 1024 * 1024;

/** A zip that any desktop opens. `date`: ISO 8601, of every entry. */
export async function bundle(files: readonly BundledFile[], date: string): Promise<Uint8Array> {
  // Some forty modules, for which no other command should wait.
  const { ZipArchive } = await import('archiver');
  const archive = new ZipArchive({ zlib: { level: 9 } });
  const written = buffer(archive);
  const time = new Date(date);
  for (const file of files) {
    archive.append(typeof file.body === 'string' ? file.body : Buffer.from(file.body), {
      name: file.name,
      mode: 0o600,
      date: Number.isNaN(time.getTime()) ? new Date(0) : time,
    });
  }
  await archive.finalize();
  return written;
}

/** The ends of all files of a directory, with secrets masked by value; none when there is no such directory. */
export async function collectLogs(directory: string): Promise<TextFile[]> {
  const found = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // A restored server could have put a link to anywhere there.
  const names = found.filter((entry) => entry.isFile()).map(({ name }) => name);
  const read = async (name: string) => ({
    name: `logs/${name}`,
    text: maskSecrets(await endOfForeignFile(join(directory, name), LONGEST_LOG)),
  });
  return Promise.all(names.toSorted().map(read));
}
