/** Where a blob is kept. */
export interface BlobPlace {
  /** Number of the pack, as its owner counts them. */
  readonly pack: number;
  /** Of its frame in the decrypted pack; 0, as nothing stands there, while the pack is being filled. */
  readonly offset: number;
  /** Of the frame. */
  readonly storedBytes: number;
  /** Of the content; 0 where nobody asks for it. */
  readonly sizeBytes: number;
}

export interface BlobTable {
  readonly size: number;
  get(id: string): BlobPlace | undefined;
  has(id: string): boolean;
  /** The first place of a blob stays; later ones are ignored. */
  add(id: string, place: BlobPlace): void;
  /** For a blob that was added while its pack was being filled. */
  locate(id: string, offset: number, storedBytes: number): void;
}

const WORDS = 4;
const FIRST_CAPACITY = 1 << 12;
/** Pack number + 1, where 0 is an empty slot; offset; stored bytes; bytes. */
const FIELDS = 4;

/**
 * Blob id -> place in 32 bytes a slot: a JavaScript Map takes 261 MB for a million ids, and ends at 16.7 million.
 * Open addressing with linear probing. It keeps 128 of an id's 256 bits; ids are HMACs, so nobody without the key can make
 * two that collide, and by chance it takes 2^64 of them.
 */
export function createBlobTable(): BlobTable {
  let capacity = FIRST_CAPACITY;
  let size = 0;
  let ids = new Uint32Array(capacity * WORDS);
  let fields = new Uint32Array(capacity * FIELDS);

  const isEmpty = (slot: number): boolean => fields[slot * FIELDS] === 0;
  const slotOf = (words: Uint32Array): number => {
    let slot = words[0]! & (capacity - 1);
    while (!isEmpty(slot) && !sameId(ids, slot * WORDS, words)) slot = (slot + 1) & (capacity - 1);
    return slot;
  };

  const grow = (): void => {
    const old = { ids, fields, capacity };
    capacity *= 2;
    ids = new Uint32Array(capacity * WORDS);
    fields = new Uint32Array(capacity * FIELDS);
    for (let from = 0; from < old.capacity; from += 1) {
      if (old.fields[from * FIELDS] === 0) continue;
      const words = old.ids.subarray(from * WORDS, (from + 1) * WORDS);
      const slot = slotOf(words);
      ids.set(words, slot * WORDS);
      fields.set(old.fields.subarray(from * FIELDS, (from + 1) * FIELDS), slot * FIELDS);
    }
  };

  const get = (id: string): BlobPlace | undefined => {
    const slot = slotOf(wordsOf(id));
    if (isEmpty(slot)) return undefined;
    const at = slot * FIELDS;
    return {
      pack: fields[at]! - 1,
      offset: fields[at + 1]!,
      storedBytes: fields[at + 2]!,
      sizeBytes: fields[at + 3]!,
    };
  };

  return {
    get size() {
      return size;
    },
    get,
    has: (id) => !isEmpty(slotOf(wordsOf(id))),
    add(id, { pack, offset, storedBytes, sizeBytes }) {
      if (size * 4 >= capacity * 3) grow();
      const words = wordsOf(id);
      const slot = slotOf(words);
      if (!isEmpty(slot)) return;
      ids.set(words, slot * WORDS);
      fields.set([pack + 1, offset, storedBytes, sizeBytes], slot * FIELDS);
      size += 1;
    },
    locate(id, offset, storedBytes) {
      const slot = slotOf(wordsOf(id));
      if (!isEmpty(slot)) fields.set([offset, storedBytes], slot * FIELDS + 1);
    },
  };
}

function wordsOf(id: string): Uint32Array {
  const words = new Uint32Array(WORDS);
  for (let word = 0; word < WORDS; word += 1)
    words[word] = Number.parseInt(id.slice(word * 8, word * 8 + 8), 16);
  return words;
}

function sameId(ids: Uint32Array, at: number, words: Uint32Array): boolean {
  return (
    ids[at] === words[0] && ids[at + 1] === words[1] && ids[at + 2] === words[2] && ids[at + 3] === words[3]
  );
}
