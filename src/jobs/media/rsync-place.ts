import { existsSync } from 'node:fs';
import { dirname, isAbsolute, relative } from 'node:path';
import type { RsyncSettings } from '../../config/index.ts';
import { LifeboatError } from '../../core/errors.ts';

/**
 * A place on this machine that cannot be meant: in the media store itself, or where a disk is not mounted. Errors:
 * `media-unreadable`. Looks, and makes nothing.
 */
export function requirePlaceFit({ place, source }: RsyncSettings, directory: string): void {
  if (!isAbsolute(place)) return;
  if (source === undefined && isWithin(place, directory)) {
    throw new LifeboatError(
      'media-unreadable',
      `media.rsync.place ${place} lies in the media store ${directory}`,
      {
        hint: 'Name a directory on another disk, or on another machine.',
      },
    );
  }
  if (existsSync(dirname(place))) return;
  throw new LifeboatError(
    'media-unreadable',
    `there is no ${dirname(place)} for media.rsync.place ${place}`,
    {
      hint: 'Mount the disk, make the directory, or correct the path.',
    },
  );
}

/** This machine has made generations there, and none is left: it is not mounted, rather than emptied. Errors: `media-unreadable`. */
export function requirePlaceThere(
  previous: string | undefined,
  madeBefore: boolean,
  place: string,
  seenFile: string,
): void {
  if (previous !== undefined || !madeBefore) return;
  throw new LifeboatError('media-unreadable', `the media that were copied to ${place} before are not there`, {
    hint: [
      'Mount the disk of media.rsync.place.',
      `If they are lost, and to be copied anew, remove ${seenFile}.`,
    ],
  });
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}
