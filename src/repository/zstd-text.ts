import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/** One zstd frame with a content checksum (RFC 8878), readable by `zstd -d`. */
export function compressText(text: string): Promise<Uint8Array> {
  return compressAsync(Buffer.from(text, 'utf8'), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** At most `limitBytes` of text: 2 GiB of zeros fit into 67 KB of zstd. Rejects with a zlib error when it is more or damaged. */
export async function decompressText(bytes: Uint8Array, limitBytes: number): Promise<string> {
  const plain = await decompressAsync(bytes, { maxOutputLength: limitBytes });
  return plain.toString('utf8');
}
