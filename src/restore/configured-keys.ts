import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSigningKeys, readConfiguration } from '../homeserver/index.ts';
import type { PublicSigningKey } from '../repository/manifest.ts';
import type { RestoreSource } from './source.ts';

/** Keys that stand in the configuration itself. */
export interface ConfiguredKeys {
  /** `old_signing_keys: {"ed25519:a_x": {key: ..., expired_ts: ...}}`: retired, but they signed older events. */
  readonly retired: readonly PublicSigningKey[];
  /** `signing_key`: the current ones, where there is no key file. */
  readonly inline: readonly PublicSigningKey[];
}

/**
 * The configuration is restored only after the keys: it is read beforehand, and put away again. One that cannot be read is
 * told by the step that restores it.
 */
export async function configuredKeys(
  source: Pick<RestoreSource, 'placeConfig'>,
  directory: string,
): Promise<ConfiguredKeys> {
  const preview = await mkdtemp(join(directory, 'preview-'));
  try {
    const placed = await source.placeConfig(preview);
    const files = placed.filter(({ role }) => role === 'homeserver-config').map(({ path }) => path);
    const { merged } = await readConfiguration(files);
    return { retired: retiredKeysOf(merged), inline: inlineKeysOf(merged) };
  } catch {
    return { retired: [], inline: [] };
  } finally {
    await rm(preview, { recursive: true, force: true });
  }
}

function retiredKeysOf(merged: Readonly<Record<string, unknown>>): PublicSigningKey[] {
  const old = merged['old_signing_keys'];
  if (typeof old !== 'object' || old === null) return [];
  return Object.entries(old).flatMap(([keyId, value]) => {
    const publicKey = (value as { key?: unknown } | null)?.key;
    return typeof publicKey === 'string' ? [{ keyId, publicKey }] : [];
  });
}

function inlineKeysOf(merged: Readonly<Record<string, unknown>>): PublicSigningKey[] {
  const text = merged['signing_key'];
  if (typeof text !== 'string') return [];
  return parseSigningKeys(text, 'homeserver.yaml').map(({ keyId, publicKey }) => ({ keyId, publicKey }));
}
