import type { Installed } from './installed.ts';
import { quoted } from './measure.ts';
import { LIFEBOAT_MEDIA } from './places.ts';
import type { MediaSource, Place, Tool } from './tool.ts';

const NODE = quoted(process.execPath);

export interface Lifeboat extends Tool {
  backUpMedia(place: Place, source: MediaSource): string;
  check(place: Place): string;
  /** As if the database knew no hash: every file is looked at, and read when its stamp is another. */
  backUpWithoutHashes(place: Place, source: MediaSource): string;
}

/** Media through bench/lifeboat-media.ts, all else through the command line. */
export function lifeboatTool({ dist, program }: Installed): Lifeboat {
  const cli = ({ directory }: Place, command: string): string =>
    `${NODE} ${quoted(program)} ${command} --repository ${quoted(`${directory}/repository`)} --identity ${quoted(`${directory}/identity`)} --quiet`;
  const media = (command: string, { directory }: Place): string =>
    `${NODE} ${quoted(LIFEBOAT_MEDIA)} ${quoted(dist)} ${command} ${quoted(directory)}`;
  const backUpMedia = (place: Place, { directory, rowsFile }: MediaSource): string =>
    `${media('backup', place)} ${quoted(directory)} ${quoted(rowsFile)}`;
  return {
    name: 'lifeboat',
    comparable: false,
    probe: `${NODE} ${quoted(program)} --version`,
    installHint: 'npm install',
    env: ({ directory }) => ({ XDG_STATE_HOME: `${directory}/xdg-state` }),
    init: (place) => media('init', place),
    incremental: true,
    backUpMedia,
    backUpWithoutHashes: (place, source) => `${backUpMedia(place, source)} --without-sha256`,
    restoreMedia: (place, target) => cli(place, `restore latest --only media --target ${quoted(target)}`),
    check: (place) => cli(place, 'check --read-data'),
  };
}
