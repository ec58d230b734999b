import { Secret } from '../../core/secret.ts';
import type { MediaBucket } from '../../media/port.ts';
import { isMap } from './configuration.ts';

export interface StorageProviders {
  /** Of the first synapse-s3-storage-provider: Synapse asks the providers in their order. */
  readonly bucket: MediaBucket | undefined;
  readonly warnings: readonly string[];
}

/** https://github.com/matrix-org/synapse-s3-storage-provider: `key = prefix + path`, path as in the media store. */
const S3_MODULE = /^s3_storage_provider\./;

/** `media_storage_providers` of homeserver.yaml. Pure. */
export function findStorageProviders(providers: readonly unknown[]): StorageProviders {
  const [readable, others] = [providers.filter(isReadable), providers.filter((each) => !isReadable(each))];
  const lost = [...others, ...readable.slice(1)].map(describe);
  return {
    bucket: readable[0] && bucketOf(readable[0].config),
    warnings:
      lost.length === 0
        ? []
        : [`media_storage_providers: media that lie only there are not in the backup: ${lost.join(', ')}`],
  };
}

interface S3Provider {
  readonly config: Readonly<Record<string, unknown>>;
}

function isReadable(provider: unknown): provider is S3Provider {
  return (
    isMap(provider) &&
    S3_MODULE.test(text(provider['module']) ?? '') &&
    isMap(provider['config']) &&
    typeof provider['config']['bucket'] === 'string' &&
    // Objects that the server decrypts for who sends the key with each request.
    provider['config']['sse_customer_key'] === undefined
  );
}

function bucketOf(config: Readonly<Record<string, unknown>>): MediaBucket {
  const secret = (name: string): Secret | undefined => {
    const value = text(config[name]);
    return value === undefined ? undefined : new Secret(value);
  };
  return {
    bucket: text(config['bucket']) ?? '',
    prefix: text(config['prefix']) ?? '',
    endpoint: text(config['endpoint_url']),
    region: text(config['region_name']),
    accessKeyId: text(config['access_key_id']),
    secretAccessKey: secret('secret_access_key'),
    sessionToken: secret('session_token'),
  };
}

function describe(provider: unknown): string {
  if (!isMap(provider)) return '?';
  const module = text(provider['module']) ?? '?';
  const encrypted = isMap(provider['config']) && provider['config']['sse_customer_key'] !== undefined;
  return encrypted ? `${module} (sse_customer_key)` : module;
}

/** Keys of digits only are numbers in YAML; the provider takes them as text too. */
function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : undefined;
}
