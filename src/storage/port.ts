/**
 * An object store holds immutable, whole objects under keys such as `packs/ab/ab12....age`.
 * Every implementation runs test/contract/object-store.ts. Promises:
 * - `put` is atomic and create-only: after it resolves the object is durable and whole; a reader never sees a part of it.
 * - `put` of an existing key changes nothing and says `exists`; of two racing callers exactly one hears `created`.
 * - `get`, `stat` and `list` are strongly consistent with completed puts and deletes.
 * - `delete` is idempotent.
 * Errors: `object-missing`, `object-locked`, `disk-full`, `store-denied` (permanent), `store-unreachable` (transient),
 * `file-unreadable`/`file-unwritable`.
 */
export interface ObjectStore {
  /** For messages and reports; never contains credentials. */
  readonly location: string;
  readonly capabilities: StoreCapabilities;
  put(key: string, body: Uint8Array): Promise<'created' | 'exists'>;
  /** The whole object, or `length` bytes from `offset`. The bytes are the caller's: nobody else reads or keeps them. */
  get(key: string, range?: ByteRange): Promise<Uint8Array<ArrayBuffer>>;
  stat(key: string): Promise<ObjectStat | undefined>;
  /** Every object whose key starts with the prefix, in no particular order. */
  list(prefix: string): AsyncIterable<ObjectStat>;
  /** Errors: `object-locked` while Object Lock protects it, `store-denied` to who may only add; nothing is changed then. */
  delete(key: string): Promise<void>;
  /**
   * Where objects are protected from deletion (`capabilities.objectLock`): those of these objects that would soon lose their
   * protection get it anew, as if they were written now. Resolves to how many did.
   */
  protect?(keys: readonly string[]): Promise<number>;
  /** Removes the empty folder of this name, where the store has folders: nobody needs it, but a probe leaves none. */
  removeFolder?(name: string): Promise<void>;
  /** For `storage probe`: what the other operations do not show. May write an object under this key. */
  examine?(key: string): Promise<StoreFeatures>;
}

/** Of the place, whatever the configuration makes of it. */
export interface StoreFeatures {
  /** An object is refused whose bytes are not those that were sent. */
  readonly checksums: boolean;
  readonly objectLock: 'on' | 'off' | 'unknown';
  /** What the place protects by itself. */
  readonly defaultLockDays: number | undefined;
  /** Undefined: the credentials may not ask. */
  readonly versioning: boolean | undefined;
}

/** Declared, never sniffed. */
export interface StoreCapabilities {
  /** How create-only is enforced; `none` makes concurrent writers unsafe and is refused at `init`. */
  readonly createOnly: 'link' | 'if-none-match' | 'none';
  readonly objectLock: boolean;
  readonly versioning: boolean;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface ObjectStat {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the store's clock. */
  readonly modified: Date;
  /** Told by `stat` only: until then nobody can delete it. */
  readonly lockedUntil?: Date;
}
