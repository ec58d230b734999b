import { randomInt } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import { blobIdOf } from './blob-id.ts';
import { decompressBlob, frameContentSize } from './compress.ts';
import { sealedSize } from './seal-payload.ts';
import { newHeader, unseal } from './seal.ts';
import type { SpareBuffers } from './spare-buffers.ts';
import { BLOCK, endOfTar, isRegular, listTar, shortHeader } from './ustar.ts';
import { inWorker } from './worker-pool.ts';

/**
 * A pack is an age file of a ustar. Each member `c/<blob id>` is one zstd frame; the last member `pad` hides the sum of the
 * sizes. So `age -d | tar x --wildcards 'c/*'` and `zstd -d` recover blobs by hand.
 */

/** Where a blob lies in the decrypted pack. */
export interface PackEntry {
  readonly id: string;
  /** Of the zstd frame, in bytes from the start of the tar. */
  readonly offset: number;
  /** Of the zstd frame. */
  readonly storedBytes: number;
  /** Of the content. */
  readonly sizeBytes: number;
}

export interface SealedPack {
  /** SHA-256 of the file, in hex. */
  readonly name: string;
  /** `packs/ab/<name>.age` */
  readonly key: string;
  readonly file: Uint8Array<ArrayBuffer>;
  readonly entries: readonly PackEntry[];
}

export interface PackBuilder {
  readonly sizeBytes: number;
  readonly entries: readonly PackEntry[];
  /** Copies a zstd frame of so many bytes of content; the caller has made sure that the id is new. */
  add(id: string, frame: Uint8Array, sizeBytes: number): void;
  /** The builder is not to be used any more. */
  seal(recipients: readonly string[]): Promise<SealedPack>;
}

const MIB = 1024 * 1024;
const PAD_NAME = 'pad';
const BLOB_MEMBER = /^c\/([0-9a-f]{64})$/;

export const LARGEST_PACK_TARGET = 40 * MIB;

/** Sizes that vary tell an onlooker nothing about the content that happened to fill a pack. */
export function randomPackTarget(): number {
  return randomInt(24 * MIB, LARGEST_PACK_TARGET);
}

/** `buffers`: where the memory of the tar comes from; the file of the sealed pack stands in it, too. */
export function createPackBuilder(expectedBytes: number, buffers: SpareBuffers): PackBuilder {
  const entries: PackEntry[] = [];
  let tar = buffers.take(expectedBytes);
  let sizeBytes = 0;

  const makeRoom = (bytes: number): void => {
    if (bytes <= tar.length) return;
    const grown = new Uint8Array(Math.max(bytes, Math.ceil(tar.length * 1.25)));
    grown.set(tar.subarray(0, sizeBytes));
    tar = grown;
  };
  const member = (name: string, body: Uint8Array | number): number => {
    const bodyBytes = typeof body === 'number' ? body : body.length;
    const offset = sizeBytes + BLOCK;
    const end = offset + Math.ceil(bodyBytes / BLOCK) * BLOCK;
    makeRoom(end);
    tar.set(shortHeader(name, bodyBytes), sizeBytes);
    if (typeof body !== 'number') tar.set(body, offset);
    tar.fill(0, typeof body === 'number' ? offset : offset + bodyBytes, end);
    sizeBytes = end;
    return offset;
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    entries,
    add(id, frame, contentBytes) {
      const offset = member(`c/${id}`, frame);
      entries.push({ id, offset, storedBytes: frame.length, sizeBytes: contentBytes });
    },
    async seal(recipients) {
      member(PAD_NAME, padLength(sizeBytes));
      const { header, fileKey } = await newHeader(recipients);
      const plaintextBytes = sizeBytes + endOfTar.length;
      makeRoom(sealedSize(header.length, plaintextBytes));
      tar.fill(0, sizeBytes, plaintextBytes);
      const job = { kind: 'seal', bytes: tar, plaintextBytes, header, fileKey } as const;
      const { bytes: file, sha256 } = await inWorker(job);
      return { name: sha256, key: packKey(sha256), file, entries };
    },
  };
}

function packKey(name: string): string {
  return `packs/${name.slice(0, 2)}/${name}.age`;
}

/** The tar inside. Errors: `identity-wrong`, `repository-damaged`. */
export async function readPack(file: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  return unseal(file, identities);
}

/** The content of one blob, verified against its id. Errors: `repository-damaged`, naming the blob. */
export function readBlob(plaintext: Uint8Array, entry: PackEntry, key: Uint8Array): Uint8Array {
  const end = entry.offset + entry.storedBytes;
  if (!(entry.offset >= 0 && end >= entry.offset && end <= plaintext.length)) {
    throw damaged(`blob ${entry.id} lies outside of its pack`);
  }
  return contentOf(plaintext.subarray(entry.offset, end), entry.sizeBytes, entry.id, key);
}

/** The same of a frame alone, which says itself how much it holds. */
export function readFrame(frame: Uint8Array, id: string, key: Uint8Array): Uint8Array {
  return contentOf(frame, frameContentSize(frame, id), id, key);
}

function contentOf(frame: Uint8Array, sizeBytes: number, id: string, key: Uint8Array): Uint8Array {
  const content = decompressBlob(frame, sizeBytes, id);
  if (blobIdOf(key, content) !== id) throw damaged(`blob ${id} has other content than its id says`);
  return content;
}

/** Every blob of a decrypted pack, for rebuilding an index. Contents are not verified. Errors: `repository-damaged`. */
export function scanPack(plaintext: Uint8Array): PackEntry[] {
  const entries: PackEntry[] = [];
  for (const member of listTar(plaintext)) {
    const { name, offset, sizeBytes: storedBytes } = member;
    const id = BLOB_MEMBER.exec(name)?.[1];
    if (!isRegular(member) || (id === undefined && name !== PAD_NAME)) {
      throw damaged(`pack has a member that is no blob: ${JSON.stringify(name)}`);
    }
    if (id === undefined) continue;
    const sizeBytes = frameContentSize(plaintext.subarray(offset, offset + storedBytes), id);
    entries.push({ id, offset, storedBytes, sizeBytes });
  }
  return entries;
}

/**
 * Up to 64 KiB at random, so that small packs differ, and then up to the next PADMÉ size (at most 3 % for large ones), so that
 * few sizes exist at all (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", 2019).
 */
function padLength(sizeBytes: number): number {
  const rest = BLOCK + endOfTar.length;
  const total = padme(sizeBytes + rest + randomInt(64 * 1024));
  return Math.ceil(total / BLOCK) * BLOCK - sizeBytes - rest;
}

function padme(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
  return Math.ceil(length / step) * step;
}

function damaged(problem: string): LifeboatError {
  return new LifeboatError('repository-damaged', problem);
}
