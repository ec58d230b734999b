import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocalStore } from '../../src/storage/local.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('local folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lifeboat-store-'));
  return {
    store: await openLocalStore(root),
    another: () => openLocalStore(root),
    remove: () => rm(root, { recursive: true }),
  };
});
