import type { Secret } from '../core/secret.ts';
import type { ByteRange } from './port.ts';

/** A bucket of somebody else, with objects that have names and may be replaced: media, not a repository. */
export interface BucketPlace {
  /** `https://s3.example.com`; undefined: Amazon's, by region. */
  readonly endpoint?: string | undefined;
  readonly bucket: string;
  readonly region?: string | undefined;
  /** Without a key: AWS_ACCESS_KEY_ID and what else the SDK's default chain finds. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: Secret | undefined;
  readonly sessionToken?: Secret | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly caFile?: string | undefined;
}

/**
 * Whole keys, no prefix of its own. What fails for the moment is tried again.
 * Errors: `store-denied` (credentials, permissions, clock, certificate), `store-unreachable`, `media-unreadable` (no such bucket).
 */
export interface BucketReader {
  /** For messages; without credentials. */
  readonly location: string;
  /** Up to 1,000 objects with this prefix whose keys come after `after`, in the byte order of their keys. */
  page(prefix: string, after: string): Promise<BucketPage>;
  /** All of them, a page at a time. */
  list(prefix: string, after?: string): AsyncIterable<BucketObject>;
  /** Undefined: there is none. */
  head(key: string): Promise<BucketObject | undefined>;
  /** Undefined: there is none. `changed`: it is not the one of this ETag any more. */
  get(
    key: string,
    options?: { readonly range?: ByteRange; readonly etag?: string; readonly versionId?: string },
  ): Promise<Uint8Array | 'changed' | undefined>;
  /** Ends the connections. */
  close(): void;
}

export interface Bucket extends BucketReader {
  /** Both create, and do nothing where there is an object already. */
  put(key: string, content: Uint8Array): Promise<WrittenObject | 'exists'>;
  /** For what does not fit into memory, in parts. */
  upload(
    key: string,
    sizeBytes: number,
    content: AsyncIterable<Uint8Array>,
  ): Promise<WrittenObject | 'exists'>;
  /** The server copies, at most 5 GiB. Replaces what is there: look before. Undefined: the source is gone. */
  copy(
    from: { readonly bucket: string } & Pick<BucketObject, 'key' | 'etag'>,
    key: string,
  ): Promise<WrittenObject | 'changed' | undefined>;
  /** Does it keep versions? Undefined: the credentials may not ask. */
  versioning(): Promise<boolean | undefined>;
}

export type WrittenObject = Pick<BucketObject, 'etag' | 'versionId' | 'sha256'>;

export interface BucketPage {
  readonly objects: readonly BucketObject[];
  /** Objects come after the last of these. */
  readonly more: boolean;
}

export interface BucketObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** With its quotes. Of an object that was uploaded in parts it is no hash of the content. */
  readonly etag: string;
  readonly modified: Date;
  /** Told by `head`, in a bucket that keeps versions. */
  readonly versionId?: string;
  /** Told by `head`, where the server keeps one of the whole content: lower-case hex. */
  readonly sha256?: string;
}
