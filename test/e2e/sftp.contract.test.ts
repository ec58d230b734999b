import { rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openSftpStore } from '../../src/storage/sftp/store.ts';
import { objectStoreContract } from '../contract/object-store.ts';
import { ORDINARY_USER, startSshd, type Sshd } from '../storage/sftp/sshd.ts';

for (const user of new Set([userInfo().username, ORDINARY_USER])) {
  let server: Sshd;
  let places = 0;

  beforeAll(async () => {
    server = await startSshd(user);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  objectStoreContract(`SFTP to an sshd of ${user}`, async () => {
    const place = join(server.data, `store ${(places += 1)}`);
    return {
      store: await openSftpStore(server.options(place)),
      another: () => openSftpStore(server.options(place)),
      remove: async () => rmSync(place, { recursive: true, force: true }),
    };
  });
}
