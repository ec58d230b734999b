import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { ZipArchive } from 'archiver';
import { maskSecrets } from '../../core/secret.ts';

interface BundleOptions {
  readonly logs: string | undefined;
  /** ISO 8601, of every entry. */
  readonly date: string;
}

/** The end of a log tells why; a homeserver that runs wild writes gigabytes. */
const LONGEST_LOG = 4 * 1024 * 1024;

/** A zip that any desktop opens: the renderings, and the logs below `logs/` with secrets masked by value. */
export async function bundle(
  files: readonly { readonly name: string; readonly text: string }[],
  { logs, date }: BundleOptions,
): Promise<Uint8Array> {
  const archive = new ZipArchive({ zlib: { level: 9 } });
  const written = buffer(archive);
  const entries = [...files, ...(logs === undefined ? [] : await readLogs(logs))];
  const time = new Date(date);
  for (const entry of entries) {
    archive.append(entry.text, {
      name: entry.name,
      mode: 0o600,
      date: Number.isNaN(time.getTime()) ? new Date(0) : time,
    });
  }
  await archive.finalize();
  return written;
}

async function readLogs(directory: string): Promise<{ name: string; text: string }[]> {
  const found = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // A restored server could have put a link to anywhere there.
  const names = found.filter((entry) => entry.isFile()).map(({ name }) => name);
  const read = async (name: string) => ({
    name: `logs/${name}`,
    text: maskSecrets(await endOf(join(directory, name))),
  });
  return Promise.all(names.toSorted().map(read));
}

async function endOf(path: string): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  return text(file.createReadStream({ start: Math.max(0, size - LONGEST_LOG), autoClose: false }));
}
