import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccounts, type Accounts } from '../../src/repository/accounts.ts';
import type { ArchivedFile } from '../../src/repository/manifest.ts';

const FILE: ArchivedFile = { path: 'x', source: '/x', role: 'other', sizeBytes: 0, sha256: '', mode: 0o600 };

describe('who is to own a restored file', () => {
  let etc: string;
  let accounts: Accounts;
  beforeAll(async () => {
    etc = await mkdtemp(join(tmpdir(), 'lifeboat-accounts-'));
    await writeFile(
      join(etc, 'passwd'),
      'root:x:0:0::/root:/bin/sh\nmatrix-synapse:x:117:65534::/:/bin/false\nbroken\n',
    );
    await writeFile(join(etc, 'group'), 'root:x:0:\nnogroup:x:65534:\n');
    accounts = await readAccounts(etc);
  });
  afterAll(() => rm(etc, { recursive: true }));

  it('is the user of the same name, whatever number he had', () => {
    const file = { ...FILE, uid: 105, gid: 110, owner: 'matrix-synapse', group: 'nogroup' };
    expect(accounts.ownerOf(file)).toEqual({ uid: 117, gid: 65534 });
  });

  it('is the same number where there was no name, as of a container’s user', () => {
    expect(accounts.ownerOf({ ...FILE, uid: 991, gid: 991 })).toEqual({ uid: 991, gid: 991 });
  });

  it('is nobody new where this machine has no such user, or the snapshot does not say', () => {
    expect(accounts.ownerOf({ ...FILE, uid: 1, gid: 0, owner: 'postgres', group: 'root' })).toBeUndefined();
    expect(accounts.ownerOf(FILE)).toBeUndefined();
  });

  it('has the names of this machine, and none of numbers that it does not know', () => {
    expect([accounts.userName(117), accounts.groupName(65534), accounts.userName(5)]).toEqual([
      'matrix-synapse',
      'nogroup',
      undefined,
    ]);
  });
});
