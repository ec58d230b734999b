import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkClient } from '../../src/restore/client-check.ts';

async function checked(version: string, ours: boolean) {
  const clientDirectory = await mkdtemp(join(tmpdir(), 'lifeboat-client-'));
  try {
    const file = join(clientDirectory, 'pg_restore');
    await writeFile(file, `#!/bin/sh\necho "pg_restore (PostgreSQL) ${version}"\n`);
    await chmod(file, 0o755);
    const context = { source: { invariants: ours ? {} : undefined }, target: { clientDirectory } };
    return await checkClient(context as unknown as Parameters<typeof checkClient>[0]);
  } finally {
    await rm(clientDirectory, { recursive: true });
  }
}

describe('a client with known holes', () => {
  it('is warned of when it read a dump that somebody else has made', async () => {
    expect(await checked('15.18', false)).toMatchObject({ result: 'warn', expected: '15.20 or newer' });
  });

  it('is named, and no warning, when it read a snapshot', async () => {
    expect(await checked('15.18', true)).toMatchObject({ result: 'pass', expected: '15.20 or newer' });
  });

  it('is none when it is mended', async () => {
    expect(await checked('15.20', false)).toMatchObject({ result: 'pass' });
  });
});
