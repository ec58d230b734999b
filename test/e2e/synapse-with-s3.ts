import { chmod, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { S3Server } from '../storage/s3/server.ts';
import { PYTHON } from './backed-up-world.ts';

/** scripts/setup/synapse-s3.mjs installs it. */
const CACHE =
  process.getuid?.() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const MODULES = join(CACHE, 'synapse-s3-storage-provider-1.7.0');

/** An interpreter of Synapse's environment that finds synapse-s3-storage-provider too. */
export async function pythonWithS3(directory: string): Promise<string> {
  const file = join(directory, 'python-with-s3');
  await writeFile(file, `#!/bin/sh\nPYTHONPATH=${MODULES} exec ${PYTHON} "$@"\n`);
  await chmod(file, 0o755);
  return file;
}

/** `media_storage_providers` as the provider's README has it. */
export function storageProvider(server: S3Server, bucket: string, prefix: string): string {
  return `media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: true
    store_remote: true
    store_synchronous: true
    config:
      bucket: ${bucket}
      prefix: "${prefix}"
      region_name: us-east-1
      endpoint_url: ${server.endpoint}
      access_key_id: ${server.accessKeyId}
      secret_access_key: ${server.secretAccessKey.reveal()}
`;
}
