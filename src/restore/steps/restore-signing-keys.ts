import { rm, stat } from 'node:fs/promises';
import { fingerprint, readSigningKeys } from '../../homeserver/index.ts';
import type { PublicSigningKey } from '../../repository/manifest.ts';
import type { RestoreContext } from '../context.ts';
import { same } from '../findings.ts';
import { configuredKeys } from '../configured-keys.ts';
import type { Check, Step } from '../step.ts';

/**
 * Step 3: signing keys, compared with the manifest before anything starts: a homeserver whose key file is missing or
 * unreadable makes itself a new identity without a word.
 */
export const restoreSigningKeysStep: Step<RestoreContext> = {
  id: 'restore-signing-keys',
  number: 3,
  title: 'Restore signing keys',
  requires: [],
  repeat: true,
  apply: async ({ source, target, found, handOver }) => {
    // Of an unfinished restore of our own: the target was empty when it began.
    await rm(target.keysDirectory, { recursive: true, force: true });
    found.keyFiles = await source.placeKeys(target.keysDirectory);
    found.configuredKeys = await configuredKeys(source, target.directory);
    await handOver(target.keysDirectory);
  },
  check: compareKeys,
};

/** Of `found` the key files and the configured keys are read. */
export async function* compareKeys({
  source,
  found,
}: Pick<RestoreContext, 'source' | 'found'>): AsyncGenerator<Check> {
  const files = (found.keyFiles ?? []).filter(({ role }) => role === 'signing-key');
  const inline = found.configuredKeys?.inline ?? [];
  // A key inside homeserver.yaml wins over a key file, as in the homeserver.
  const keys =
    inline.length > 0
      ? inline
      : (await Promise.all(files.map(({ path, role }) => readSigningKeys(path, role)))).flat();
  found.signingKeys = keys;
  yield {
    id: 'keys.present',
    title: 'there is a signing key',
    result: keys.length > 0 ? 'pass' : 'fail',
    expected: 'at least 1 key',
    observed: keys.length === 0 ? 'none' : keys.map(describe).join(', '),
    detail:
      keys.length > 0 ? [] : ['Without it the homeserver generates a new key and other servers reject it.'],
  };
  const check = { id: 'keys.fingerprint', title: 'its public half is the one in the manifest' };
  if (source.publicKeys === undefined)
    yield { ...check, result: 'skip', observed: 'the source has no manifest to compare with' };
  else {
    const advice = 'Do not start a server with this key: other servers would refuse its signatures.';
    yield same(
      check,
      source.publicKeys.map(describe).toSorted().join(', '),
      keys.map(describe).toSorted().join(', '),
      advice,
    );
  }
  for (const { path } of files) yield await modeCheck(path);
}

async function modeCheck(path: string): Promise<Check> {
  const mode = (await stat(path)).mode & 0o777;
  return {
    id: 'keys.mode',
    title: 'nobody but its owner and group can read it',
    result: (mode & 0o007) === 0 ? 'pass' : 'warn',
    expected: 'mode 0600 or 0640',
    observed: `mode 0${mode.toString(8)}`,
  };
}

function describe(key: PublicSigningKey): string {
  return `${key.keyId} ${fingerprint(key)}`;
}
