import { createHash, randomInt } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import { blobIdOf } from './blob-id.ts';
import { compressBlob, decompressBlob, frameContentSize } from './compress.ts';
import { seal, unseal } from './seal.ts';
import { BLOCK, endOfTar, isRegular, listTar, paddingAfter, tarHeader } from './ustar.ts';

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
  readonly file: Uint8Array;
  readonly entries: readonly PackEntry[];
}

export interface PackBuilder {
  readonly sizeBytes: number;
  /** The target is reached: seal, and start another. */
  readonly full: boolean;
  readonly entries: readonly PackEntry[];
  /** Compresses and copies the content; the caller has made sure that the id is new. */
  add(id: string, content: Uint8Array): void;
  seal(recipients: readonly string[]): Promise<SealedPack>;
}

const MIB = 1024 * 1024;
const PAD_NAME = 'pad';
const BLOB_MEMBER = /^c\/([0-9a-f]{64})$/;

/** Sizes that vary tell an onlooker nothing about the content that happened to fill a pack. */
export function randomPackTarget(): number {
  return randomInt(24 * MIB, 40 * MIB);
}

export function createPackBuilder(targetBytes: number = randomPackTarget()): PackBuilder {
  const parts: Uint8Array[] = [];
  const entries: PackEntry[] = [];
  let sizeBytes = 0;
  const append = (part: Uint8Array): void => {
    parts.push(part);
    sizeBytes += part.length;
  };
  const member = (name: string, body: Uint8Array): void => {
    append(tarHeader(name, body.length));
    append(body);
    append(paddingAfter(body.length));
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    get full() {
      return sizeBytes >= targetBytes;
    },
    entries,
    add(id, content) {
      const frame = compressBlob(content);
      entries.push({ id, offset: sizeBytes + BLOCK, storedBytes: frame.length, sizeBytes: content.length });
      member(`c/${id}`, frame);
    },
    async seal(recipients) {
      member(PAD_NAME, Buffer.alloc(padLength(sizeBytes)));
      append(endOfTar);
      const file = await seal(Buffer.concat(parts, sizeBytes), recipients);
      const name = createHash('sha256').update(file).digest('hex');
      return { name, key: packKey(name), file, entries };
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
  const frame = plaintext.subarray(entry.offset, end);
  const content = decompressBlob(frame, entry.sizeBytes, entry.id);
  if (blobIdOf(key, content) !== entry.id)
    throw damaged(`blob ${entry.id} has other content than its id says`);
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
