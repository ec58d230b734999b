import { afterAll, beforeAll } from 'vitest';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { objectStoreContract } from '../contract/object-store.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';

for (const tls of [false, true]) {
  let server: S3Server;
  let bucket: string;
  let places = 0;

  beforeAll(async () => {
    server = await startS3({ tls });
    bucket = await server.bucket();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  objectStoreContract(tls ? 'S3 over TLS' : 'S3', async () => {
    const options = server.options(bucket, `store/${(places += 1)}`);
    const store = await openS3Store(options);
    return {
      store,
      another: () => openS3Store(options),
      remove: async () => {
        for await (const { key } of store.list('')) await store.delete(key);
      },
    };
  });
}
