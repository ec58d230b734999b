import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/**
 * `<repository id>-<12 hex digits>`: begins the names of what is kept in the state directory for one homeserver. Several of one machine
 * may share state directory and repository; each has a lifeboat.yaml of its own.
 */
export function stateName(repositoryId: string, configFile: string): string {
  return `${repositoryId}-${createHash('sha256').update(resolve(configFile)).digest('hex').slice(0, 12)}`;
}

/** What is known of the media files of one homeserver, and beside it how far an interrupted rsync came. */
export function seenMediaFile(stateDirectory: string, repositoryId: string, configFile: string): string {
  return join(stateDirectory, 'media', `${stateName(repositoryId, configFile)}.seen`);
}
