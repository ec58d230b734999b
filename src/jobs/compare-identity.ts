import type { Config } from '../config/index.ts';
import { messageOf } from '../core/errors.ts';
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
  /** To be called once the snapshot is there, which no failure undoes: omissions, if what was seen could not be written. */
  readonly remember: () => Promise<readonly string[]>;
}

/** What a homeserver is now, with what the last backup of this host into this repository saw. */
export async function compareIdentity(
  seen: Seen,
  { file: configFile, repository: { stateDirectory, hostKeyFile } }: Pick<Config, 'file' | 'repository'>,
  repositoryId: string,
): Promise<Comparison> {
  const file = lastSeenFile(stateDirectory, repositoryId, configFile);
  const now = lastSeenOf(seen, await fingerprintKey(hostKeyFile), new Date());
  const changes = identityChanges(await readLastSeen(file), now);
  const remember = async () => {
    try {
      await writeLastSeen(file, now);
      return [];
    } catch (error) {
      return [`the snapshot is stored, but not what the next backup is compared with: ${messageOf(error)}`];
    }
  };
  return { changes, remember };
}
