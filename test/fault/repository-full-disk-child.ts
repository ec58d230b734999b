/**
 * Fills a disk that only this process sees: node repository-full-disk-child.ts MOUNTED_DIRECTORY LARGER_SIZE. Prints what it saw as JSON.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { isLifeboatError } from '../../src/core/errors.ts';
import { backUp, makeRepository, readBack, seededSource, writeSource } from '../repository/fixture.ts';

const [mounted, largerBy64KiB] = process.argv.slice(2) as [string, string];
await using fixture = await makeRepository(`${mounted}/repository`);
const first = await backUp(await fixture.open(), seededSource('first'));
const codes: string[] = [];

/** A dump larger than the disk; what fails first may be a pack, and later calls must not pretend that it was stored. */
const writer = await (await fixture.open()).startBackup();
for (const attempt of ['stream', 'again', 'commit'] as const) {
  try {
    if (attempt === 'commit') await writer.commit(await writeSource(writer, seededSource('too late')));
    else await writer.addStream(Readable.from(Array.from({ length: 200 }, () => randomBytes(32_768))));
    codes.push('none');
  } catch (error) {
    codes.push(isLifeboatError(error) ? error.code : String(error));
  }
}
await writer.abort();

const repository = await fixture.open();
const afterwards = await repository.check({ readData: 'all', decrypt: true });
const snapshots = (await repository.snapshots()).map(({ id }) => id);
// Prune says in the log what it is going to delete, which takes one block: on a disk that is full to the last one, an
// administrator has to make that much room first.
execFileSync('mount', ['-o', `remount,size=${largerBy64KiB}`, mounted]);
const { deletedObjects } = await repository.prune({ dryRun: false, graceMs: 0 });
const second = await backUp(await fixture.open(), seededSource('second'));
const readBackEqual =
  JSON.stringify(await readBack(repository, second.entry.id)) === JSON.stringify(seededSource('second'));
process.stdout.write(
  JSON.stringify({
    codes,
    checked: afterwards.ok,
    snapshots: snapshots.length,
    first: snapshots[0] === first.entry.id,
    deletedObjects,
    readBackEqual,
  }),
);
