import { LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { blobId } from './blob-id.ts';
import type { PlacedBlob } from './manifest-reader.ts';
import { damagedObject } from './objects.ts';
import { readFrame } from './pack.ts';
import { PAYLOAD_CHUNK } from './seal-payload.ts';
import { openSealedFile, type SealedFile } from './sealed-file.ts';

export interface PackReader {
  /** Verified against its id. Errors: `repository-damaged`, naming pack and blob; `identity-wrong`. */
  blob(id: string, place: PlacedBlob): Promise<Uint8Array>;
  /** True when the id was made from this SHA-256: `blob` then verifies the hash, too. */
  isIdOf(id: string, sha256: string): boolean;
}

const PAGE_CHUNKS = 4;
const PAGE = PAGE_CHUNKS * PAYLOAD_CHUNK;
/** Read ahead in pages, as far as a reader seems to go through a pack: from 1 MiB to 8. */
const FIRST_AHEAD = 4;
const MOST_AHEAD = 32;
/** Of decrypted windows in memory. */
const CAPACITY_BYTES = 64 * 1024 * 1024;

/** Pages that were read with one request. */
interface Window {
  readonly pack: OpenPack;
  readonly first: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

interface OpenPack {
  readonly key: string;
  readonly file: SealedFile;
  readonly pages: Map<number, Window>;
  /** Where the newest window ends. */
  next: number;
  ahead: number;
}

/**
 * Reads blobs out of packs by their places, and no more of a pack than is asked for, as a kernel reads files: what is read one
 * after the other is read ahead in growing windows, what is read here and there is not.
 */
export function createPackReader(
  store: ObjectStore,
  identities: readonly Secret[],
  idKey: Uint8Array,
): PackReader {
  const packs = new Map<string, Promise<OpenPack>>();
  /** In order of use: the first is the one that was not used for the longest time. */
  const windows = new Set<Window>();

  const open = (key: string): Promise<OpenPack> => {
    const opening =
      packs.get(key) ??
      openSealedFile(store, key, identities).then((file) => ({
        key,
        file,
        pages: new Map(),
        next: 0,
        ahead: 0,
      }));
    packs.set(key, opening);
    opening.catch(() => packs.delete(key));
    return opening;
  };

  const forget = (window: Window): void => {
    windows.delete(window);
    for (let page = window.first; page < window.end; page += 1)
      if (window.pack.pages.get(page) === window) window.pack.pages.delete(page);
  };

  const fetch = (pack: OpenPack, first: number, wanted: number): Window => {
    let end = first + 1;
    while (end < Math.min(wanted, pageCount(pack)) && !pack.pages.has(end)) end += 1;
    const bytes = pack.file.read(first * PAGE_CHUNKS, end * PAGE_CHUNKS);
    const window: Window = { pack, first, end, bytes };
    bytes.catch(() => forget(window));
    for (let page = first; page < end; page += 1) pack.pages.set(page, window);
    pack.next = end;
    windows.add(window);
    let pages = windows.values().reduce((sum, one) => sum + one.end - one.first, 0);
    for (const oldest of windows) {
      if (pages * PAGE <= CAPACITY_BYTES || oldest === window) break;
      pages -= oldest.end - oldest.first;
      forget(oldest);
    }
    return window;
  };

  /** The windows that hold these pages, from left to right. Not interrupted: who comes meanwhile finds them. */
  const cover = (pack: OpenPack, first: number, end: number): readonly Window[] => {
    const covering: Window[] = [];
    for (let page = first; page < end; page = covering.at(-1)!.end) {
      const there = pack.pages.get(page);
      if (there === undefined) {
        const goesOn = page >= pack.next && page <= pack.next + FIRST_AHEAD;
        pack.ahead = goesOn ? Math.min(Math.max(FIRST_AHEAD, pack.ahead * 2), MOST_AHEAD) : 0;
      } else {
        windows.delete(there);
        windows.add(there);
      }
      covering.push(there ?? fetch(pack, page, end + pack.ahead));
    }
    const { next, ahead } = pack;
    // The next window comes while this one is worked on.
    if (
      ahead === MOST_AHEAD &&
      covering.at(-1)!.end === next &&
      next < pageCount(pack) &&
      !pack.pages.has(next)
    )
      fetch(pack, next, next + ahead);
    return covering;
  };

  const frameOf = async (pack: OpenPack, { offset, storedBytes }: PlacedBlob): Promise<Uint8Array> => {
    const end = offset + storedBytes;
    const covering = cover(pack, Math.floor(offset / PAGE), Math.ceil(end / PAGE));
    const parts = await Promise.all(
      covering.map(async ({ bytes, first }) => {
        const plaintext = await bytes;
        const start = first * PAGE;
        return plaintext.subarray(Math.max(0, offset - start), Math.max(0, end - start));
      }),
    );
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  };

  return {
    async blob(id, place) {
      const pack = await open(place.pack);
      if (place.storedBytes === 0 || place.offset + place.storedBytes > pack.file.plaintextBytes)
        throw damagedObject(place.pack, `blob ${id} lies outside of it`);
      const frame = await frameOf(pack, place);
      try {
        return readFrame(frame, id, idKey);
      } catch (error) {
        throw error instanceof LifeboatError ? damagedObject(place.pack, error.message, error) : error;
      }
    },
    isIdOf: (id, sha256) => id === blobId(idKey, sha256),
  };
}

function pageCount({ file }: OpenPack): number {
  return Math.ceil(file.plaintextBytes / PAGE);
}
