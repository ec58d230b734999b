import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfiguration } from '../homeserver/index.ts';
import type { PublicSigningKey } from '../repository/manifest.ts';
import type { RestoreSource } from './source.ts';

/**
 * Keys that the homeserver has retired: `old_signing_keys: {"ed25519:a_x": {key: ..., expired_ts: ...}}`. They signed older
 * events, and stand in the configuration, which is restored only after the keys: it is read beforehand, and put away again.
 * A configuration that cannot be read is told by the step that restores it.
 */
export async function retiredKeys(
  source: Pick<RestoreSource, 'placeConfig'>,
  directory: string,
): Promise<PublicSigningKey[]> {
  const preview = await mkdtemp(join(directory, 'preview-'));
  try {
    const placed = await source.placeConfig(preview);
    const files = placed.filter(({ role }) => role === 'homeserver-config').map(({ path }) => path);
    return oldKeysOf((await readConfiguration(files)).merged);
  } catch {
    return [];
  } finally {
    await rm(preview, { recursive: true, force: true });
  }
}

function oldKeysOf(merged: Readonly<Record<string, unknown>>): PublicSigningKey[] {
  const old = merged['old_signing_keys'];
  if (typeof old !== 'object' || old === null) return [];
  return Object.entries(old).flatMap(([keyId, value]) => {
    const publicKey = (value as { key?: unknown } | null)?.key;
    return typeof publicKey === 'string' ? [{ keyId, publicKey }] : [];
  });
}
