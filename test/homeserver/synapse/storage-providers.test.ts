import { describe, expect, it } from 'vitest';
import { findStorageProviders } from '../../../src/homeserver/synapse/storage-providers.ts';

const S3 = 's3_storage_provider.S3StorageProviderBackend';

describe('media_storage_providers', () => {
  it('name the bucket of synapse-s3-storage-provider, with its key', () => {
    const config = {
      bucket: 'media',
      prefix: 'matrix/',
      endpoint_url: 'https://s3.example',
      region_name: 'eu',
      access_key_id: 123456,
      secret_access_key: 'hush',
    };
    const { bucket, warnings } = findStorageProviders([{ module: S3, store_local: true, config }]);
    expect(warnings).toEqual([]);
    expect(bucket).toMatchObject({
      bucket: 'media',
      prefix: 'matrix/',
      endpoint: 'https://s3.example',
      region: 'eu',
      accessKeyId: '123456',
    });
    expect(bucket?.secretAccessKey?.reveal()).toBe('hush');
    expect(JSON.stringify(bucket)).not.toContain('hush');
  });

  it('leave key and server to the environment where they name none', () => {
    expect(findStorageProviders([{ module: S3, config: { bucket: 'media' } }]).bucket).toMatchObject({
      bucket: 'media',
      prefix: '',
      endpoint: undefined,
      accessKeyId: undefined,
    });
  });

  it.each([
    ['another module', { module: 'file_system', config: { directory: '/mnt' } }, 'file_system'],
    [
      'a key of the client',
      { module: S3, config: { bucket: 'b', sse_customer_key: 'k' } },
      'sse_customer_key',
    ],
    ['no bucket', { module: S3 }, S3],
  ])('are warned of with %s', (_what, provider, said) => {
    const { bucket, warnings } = findStorageProviders([provider]);
    expect(bucket).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining(said)]);
  });

  it('are none: nothing is said', () => {
    expect(findStorageProviders([])).toEqual({ bucket: undefined, warnings: [] });
  });
});
