import type { DatabaseComponent, Manifest } from './manifest.ts';

type Dump = DatabaseComponent['dumps'][number];

/** Every dump of a snapshot, of the homeserver's database first: whatever keeps, counts or verifies blobs goes through here. */
export function dumpsOf(manifest: Pick<Manifest, 'database' | 'databases'>): Dump[] {
  return [manifest.database, ...(manifest.databases ?? [])].flatMap(({ dumps }) => dumps);
}
