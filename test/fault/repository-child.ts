/**
 * A process that works on a repository and kills itself at a chosen operation of the store, or waits to be killed.
 *   node repository-child.ts DIRECTORY ROOT backup|prune SEED KILL_AT
 * KILL_AT: `before 3`, `after 3` (the third put or delete), `before log`, `after log` (the put of the record), or `never`.
 */
import { openRepository } from '../../src/repository/repository.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, openOptions, seededSource } from '../repository/fixture.ts';

const [directory, root, mode, seed, killAt] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const [moment, number] = killAt.split(' ');
let operations = 0;

async function deadly<T>(key: string, operation: () => Promise<T>): Promise<T> {
  operations += 1;
  const now = number === 'log' ? key.startsWith('log/') : operations === Number(number);
  if (now && moment === 'before') process.kill(process.pid, 'SIGKILL');
  const result = await operation();
  if (now && moment === 'after') process.kill(process.pid, 'SIGKILL');
  return result;
}

const local = await openLocalStore(root);
const store: ObjectStore = {
  ...local,
  put: (key, body) => {
    process.stdout.write(`put ${key}\n`);
    return deadly(key, () => local.put(key, body));
  },
  delete: (key) => deadly(key, () => local.delete(key)),
};
const repository = await openRepository(store, openOptions(directory));
process.stdout.write('ready\n');
if (mode === 'backup') {
  const { entry } = await backUp(repository, seededSource(seed));
  process.stdout.write(`snapshot ${entry.id}\n`);
} else {
  const snapshots = await repository.snapshots();
  await repository.forget(
    snapshots.slice(0, -1).map(({ id }) => id),
    {},
  );
  await repository.prune({ dryRun: false, graceMs: 0 });
}
process.stdout.write(`${operations} operations\n`);
