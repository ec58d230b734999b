import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restorePart } from '../../src/jobs/restore-part.ts';
import { silent } from '../../src/observe/index.ts';
import type { RestoreSource } from '../../src/restore/source.ts';

const DUMP = Buffer.from('not an archive of pg_dump');

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-part-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Only what the extraction of a dump asks for. */
function sourceOf(sha256: string): RestoreSource {
  const content = { sizeBytes: DUMP.length, sha256 };
  const dumps = () => [{ name: 'synapse.dump', content, open: () => Readable.from([DUMP]) }];
  return { dumps } as unknown as RestoreSource;
}

describe('one part of a snapshot, restored as files', () => {
  it.each([
    ['as the manifest says', createHash('sha256').update(DUMP).digest('hex'), 'pass'],
    ['another than the manifest says', 'aa'.repeat(32), 'fail'],
  ] as const)('is read again: a dump that is %s', async (_name, sha256, result) => {
    const options = { source: sourceOf(sha256), part: 'database', directory, progress: silent } as const;
    const outcome = await restorePart(options);
    expect(outcome.checks.map((check) => [check.id, check.result])).toEqual([
      ['part.dump-as-in-manifest', result],
      ['part.dump-readable', 'fail'],
    ]);
    expect(outcome.ok).toBe(false);
    expect(await readFile(outcome.written[0]!)).toEqual(DUMP);
  });
});
