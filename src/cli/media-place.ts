import { placeOf } from '../config/index.ts';
import { mediaAccess } from '../jobs/media/access.ts';
import type { MediaAccess } from '../media/external.ts';
import type { CommandContext } from './context.ts';

export interface MediaPlaceFlag {
  readonly mediaPlace?: string;
}

/** Of all commands that read the media of a snapshot. */
export const MEDIA_PLACE = {
  flags: '--media-place <PLACE>',
  description: 'where media that are not in the repository lie today, if not where the snapshot says',
} as const;

export async function mediaAccessOf(
  { mediaPlace }: MediaPlaceFlag,
  { configIfAny }: Pick<CommandContext, 'configIfAny'>,
): Promise<MediaAccess> {
  return mediaAccess(await configIfAny(), mediaPlace === undefined ? undefined : placeOf(mediaPlace, '.'));
}
