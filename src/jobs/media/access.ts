import type { Config } from '../../config/index.ts';
import type { MediaAccess } from '../../media/external.ts';

/** How lifeboat.yaml reaches media outside of the repository; without one, as ssh and the AWS SDK know it by themselves. */
export function mediaAccess(config: Config | undefined, place: string | undefined): MediaAccess {
  return { place, sftp: config?.media.rsync?.ssh };
}
