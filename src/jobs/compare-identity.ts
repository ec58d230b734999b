import type { Config } from '../config/index.ts';
import { identityChanges, type IdentityChange } from './identity-changes.ts';
import {
  fingerprintKey,
  lastSeenFile,
  lastSeenOf,
  readLastSeen,
  writeLastSeen,
  type Seen,
} from './last-seen.ts';

export interface Comparison {
  /** The loudest first. */
  readonly changes: readonly IdentityChange[];
  /** To be called once the snapshot is there. */
  readonly remember: () => Promise<void>;
}

/** What a homeserver is now, with what the last backup of this host into this repository saw. */
export async function compareIdentity(
  seen: Seen,
  { stateDirectory, hostKeyFile }: Config['repository'],
  repositoryId: string,
): Promise<Comparison> {
  const file = lastSeenFile(stateDirectory, repositoryId);
  const now = lastSeenOf(seen, await fingerprintKey(hostKeyFile), new Date());
  const changes = identityChanges(await readLastSeen(file), now);
  return { changes, remember: () => writeLastSeen(file, now) };
}
