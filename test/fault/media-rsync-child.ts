/**
 * A process that backs up media by rsync, slowly, until it is killed.
 *   node media-rsync-child.ts SOURCE PLACE STATE PATH SIZE
 */
import { join } from 'node:path';
import { rsyncStrategy } from '../../src/jobs/media/rsync.ts';
import type { BackupWriter } from '../../src/repository/port.ts';
import { REPOSITORY } from '../media/rsync/names.ts';

const [source = '', place = '', state = '', path = '', size = ''] = process.argv.slice(2);
const settings = { place, source: undefined, ssh: undefined, bandwidthLimit: 1024 * 1024, timeoutMs: 60_000 };
const writer: Pick<BackupWriter, 'snapshotId' | 'addMedia'> = {
  snapshotId: 'b'.repeat(32),
  addMedia: () => Promise.resolve(),
};
await rsyncStrategy(settings, source, false).backUp({
  catalogue: {
    async *rows() {
      yield { path, mediaClass: 'local_content', sizeBytes: Number(size), sha256: null };
    },
  },
  classes: ['local_content'],
  writer: writer as BackupWriter,
  repositoryId: REPOSITORY,
  seenFile: join(state, 'media', `${REPOSITORY}.seen`),
  compareEveryMs: 0,
  now: new Date(),
  progress: () => undefined,
});
