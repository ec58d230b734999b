import type { Config } from '../../config/index.ts';
import type { MediaAccess } from '../../media/external.ts';
import type { MediaGenerations } from '../../media/generations.ts';
import { rsyncGenerations } from '../../media/rsync/generations.ts';
import { openTree } from '../../media/rsync/tree.ts';

/** How lifeboat.yaml reaches media outside of the repository; without one, as ssh and the AWS SDK know it by themselves. */
export function mediaAccess(config: Config | undefined, place: string | undefined): MediaAccess {
  return { place, sftp: config?.media.rsync?.ssh, s3: config?.media.s3Sync };
}

/** What a prune of this repository has to look after outside of it; where `media.rsync` says, whichever strategy is in force now. */
export function mediaGenerations(config: Config, repositoryId: string): MediaGenerations | undefined {
  const { rsync } = config.media;
  return rsync && rsyncGenerations(openTree(rsync.place, rsync.ssh), repositoryId);
}
