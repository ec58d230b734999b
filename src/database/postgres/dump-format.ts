import { open } from 'node:fs/promises';

/** `custom`: pg_restore's; `plain`: SQL text for psql; the other two hold one of these. */
export type DumpFormat = 'custom' | 'plain' | 'gzip' | 'zstd';

/** By the first bytes, not by the name. */
export async function detectDumpFormat(path: string): Promise<DumpFormat> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    const head = buffer.subarray(0, bytesRead);
    if (head.subarray(0, 5).toString('latin1') === 'PGDMP') return 'custom';
    if (head.subarray(0, 2).toString('hex') === '1f8b') return 'gzip';
    if (head.subarray(0, 4).toString('hex') === '28b52ffd') return 'zstd';
    return 'plain';
  } finally {
    await file.close();
  }
}
