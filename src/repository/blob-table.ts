/** Where a blob is kept. */
interface BlobPlace {
  /** Number of the pack, as its owner counts them. */
  readonly pack: number;
  readonly sizeBytes: number;
}

export interface BlobTable {
  readonly size: number;
  get(id: string): BlobPlace | undefined;
  has(id: string): boolean;
  /** The first place of a blob stays; later ones are ignored. */
  add(id: string, pack: number, sizeBytes: number): void;
}

const WORDS = 4;
const FIRST_CAPACITY = 1 << 12;

/**
 * Blob id -> place in 24 bytes a slot: a JavaScript Map takes 261 MB for a million ids, and ends at 16.7 million.
 * Open addressing with linear probing. It keeps 128 of an id's 256 bits; ids are HMACs, so nobody without the key can make
 * two that collide, and by chance it takes 2^64 of them.
 */
export function createBlobTable(): BlobTable {
  let capacity = FIRST_CAPACITY;
  let size = 0;
  let ids = new Uint32Array(capacity * WORDS);
  /** Pack number + 1; 0 is an empty slot. */
  let packs = new Uint32Array(capacity);
  let sizes = new Uint32Array(capacity);

  const slotOf = (words: Uint32Array): number => {
    let slot = words[0]! & (capacity - 1);
    while (packs[slot] !== 0 && !sameId(ids, slot * WORDS, words)) slot = (slot + 1) & (capacity - 1);
    return slot;
  };

  const insert = (words: Uint32Array, pack: number, sizeBytes: number): boolean => {
    const slot = slotOf(words);
    if (packs[slot] !== 0) return false;
    ids.set(words, slot * WORDS);
    packs[slot] = pack;
    sizes[slot] = sizeBytes;
    return true;
  };

  const grow = (): void => {
    const old = { ids, packs, sizes, capacity };
    capacity *= 2;
    ids = new Uint32Array(capacity * WORDS);
    packs = new Uint32Array(capacity);
    sizes = new Uint32Array(capacity);
    for (let slot = 0; slot < old.capacity; slot += 1) {
      if (old.packs[slot] === 0) continue;
      insert(old.ids.subarray(slot * WORDS, (slot + 1) * WORDS), old.packs[slot]!, old.sizes[slot]!);
    }
  };

  const get = (id: string): BlobPlace | undefined => {
    const slot = slotOf(wordsOf(id));
    return packs[slot] === 0 ? undefined : { pack: packs[slot]! - 1, sizeBytes: sizes[slot]! };
  };

  return {
    get size() {
      return size;
    },
    get,
    has: (id) => get(id) !== undefined,
    add(id, pack, sizeBytes) {
      if (size * 4 >= capacity * 3) grow();
      if (insert(wordsOf(id), pack + 1, sizeBytes)) size += 1;
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
