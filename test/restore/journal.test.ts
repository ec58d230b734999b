import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JOURNAL_FILE, openJournal } from '../../src/restore/journal.ts';

const subject = { snapshot: 'a'.repeat(32), serverName: 'example.com', database: 'localhost:5432/new' };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-journal-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('the journal of a restore', () => {
  it('remembers what was done, for the same command run again', async () => {
    const first = await openJournal(directory, subject, () => 'id1');
    await first.started('restore-database');
    await first.done('restore-database');
    await first.started('restore-media');
    const second = await openJournal(directory, subject, () => 'id2');
    expect(second.restoreId).toBe('id1');
    expect(second.isDone('restore-database')).toBe(true);
    expect(second.isDone('restore-media')).toBe(false);
  });

  it.each([
    { ...subject, snapshot: 'b'.repeat(32) },
    { ...subject, serverName: 'other.example' },
    { ...subject, database: 'localhost:5432/other' },
  ])('refuses a directory that belongs to another restore', async (other) => {
    await (await openJournal(directory, subject, () => 'id1')).started('restore-database');
    await expect(openJournal(directory, other, () => 'id2')).rejects.toMatchObject({
      code: 'target-not-empty',
    });
  });

  it('refuses a journal that it cannot read, and leaves it as it is', async () => {
    await writeFile(join(directory, JOURNAL_FILE), '{"version": 9}');
    await expect(openJournal(directory, subject, () => 'id')).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    expect(await readFile(join(directory, JOURNAL_FILE), 'utf8')).toBe('{"version": 9}');
  });

  it('forgets a step that has to be done again', async () => {
    const first = await openJournal(directory, subject, () => 'id1');
    await first.done('restore-database');
    await first.forget('restore-database');
    expect((await openJournal(directory, subject, () => 'id2')).isDone('restore-database')).toBe(false);
  });

  it('is written with the first step and not before, and is private', async () => {
    const journal = await openJournal(directory, subject, () => 'id1');
    expect(await readdir(directory)).toEqual([]);
    await journal.started('restore-database');
    expect((await stat(join(directory, JOURNAL_FILE))).mode & 0o777).toBe(0o600);
  });
});
