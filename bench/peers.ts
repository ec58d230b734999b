import { quoted } from './measure.ts';
import type { Place, Tool } from './tool.ts';

/** What others use, each with its defaults, but for kopia's and restic's look-ups and prompts. */

const PASSWORD = 'bench';
const repositoryOf = ({ directory }: Place): string => quoted(`${directory}/repository`);

const restic: Tool = {
  name: 'restic',
  comparable: true,
  probe: 'restic version',
  installHint: 'apt-get install restic, or go install github.com/restic/restic/cmd/restic@latest',
  env: ({ directory }) => ({
    RESTIC_REPOSITORY: `${directory}/repository`,
    RESTIC_PASSWORD: PASSWORD,
    RESTIC_CACHE_DIR: `${directory}/cache`,
  }),
  init: () => 'restic init --quiet',
  incremental: true,
  backUpMedia: (_, { directory }) => `cd ${quoted(directory)} && restic backup --quiet .`,
  restoreMedia: (_, target) => `restic restore latest --quiet --target ${quoted(target)}`,
  check: () => 'restic check --quiet --read-data',
  backUpStream: () => 'restic backup --quiet --stdin --stdin-filename synapse.dump',
};

const kopia: Tool = {
  name: 'kopia',
  comparable: true,
  probe: 'kopia --version',
  installHint: 'go install github.com/kopia/kopia@latest, or a package from kopia.io',
  env: ({ directory }) => ({
    KOPIA_PASSWORD: PASSWORD,
    KOPIA_CONFIG_PATH: `${directory}/kopia.config`,
    KOPIA_CACHE_DIRECTORY: `${directory}/cache`,
    KOPIA_LOG_DIR: `${directory}/logs`,
    KOPIA_CHECK_FOR_UPDATES: 'false',
  }),
  init: (place) =>
    `mkdir -p ${repositoryOf(place)} && kopia repository create filesystem --path ${repositoryOf(place)}`,
  incremental: true,
  backUpMedia: (_, { directory }) => `kopia snapshot create --no-progress ${quoted(directory)}`,
  restoreMedia: (_, target) =>
    `kopia restore --no-progress "$(kopia snapshot list --all --json | grep -o '"obj":"[^"]*"' | tail -1 | cut -d'"' -f4)" ${quoted(target)}`,
  check: () => 'kopia snapshot verify --verify-files-percent=100',
  backUpStream: () => 'kopia snapshot create --no-progress --stdin-file=synapse.dump /synapse',
};

const borg: Tool = {
  name: 'borg',
  comparable: true,
  probe: 'borg --version',
  installHint: 'apt-get install borgbackup',
  env: ({ directory }) => ({
    BORG_REPO: `${directory}/repository`,
    BORG_PASSPHRASE: PASSWORD,
    BORG_BASE_DIR: `${directory}/borg`,
  }),
  init: () => 'borg init --encryption=repokey-blake2',
  incremental: true,
  backUpMedia: (_, { directory }) => `cd ${quoted(directory)} && borg create "::$(date +%s%N)" .`,
  restoreMedia: (_, target) =>
    `mkdir -p ${quoted(target)} && cd ${quoted(target)} && borg extract "::$(borg list --last 1 --format '{archive}')"`,
  check: () => 'borg check --verify-data',
  backUpStream: () => 'borg create --stdin-name synapse.dump "::$(date +%s%N)" -',
};

const rustic: Tool = {
  name: 'rustic',
  comparable: true,
  probe: 'rustic --version',
  installHint: 'cargo install rustic-rs (some minutes), or a package from rustic.cli.rs',
  env: ({ directory }) => ({
    RUSTIC_REPOSITORY: `${directory}/repository`,
    RUSTIC_PASSWORD: PASSWORD,
    RUSTIC_CACHE_DIR: `${directory}/cache`,
    RUSTIC_NO_PROGRESS: 'true',
  }),
  init: () => 'rustic init',
  incremental: true,
  backUpMedia: (_, { directory }) => `cd ${quoted(directory)} && rustic backup .`,
  restoreMedia: (_, target) => `rustic restore latest ${quoted(target)}`,
  check: () => 'rustic check --read-data',
  backUpStream: () => 'rustic backup --stdin-filename synapse.dump -',
};

const rsync: Tool = {
  name: 'rsync',
  comparable: false,
  probe: 'rsync --version | sed -n 1p',
  installHint: 'apt-get install rsync',
  env: () => ({}),
  init: (place) => `mkdir -p ${repositoryOf(place)}`,
  incremental: true,
  backUpMedia: (place, { directory }) =>
    `rsync -a --delete ${quoted(`${directory}/`)} ${repositoryOf(place)}/`,
  restoreMedia: (place, target) => `rsync -a ${repositoryOf(place)}/ ${quoted(`${target}/`)}`,
  check: () => undefined,
};

/** A command line in many cron tables: everything, every time. */
const tarZstdAge: Tool = {
  name: 'tar|zstd|age',
  comparable: false,
  probe: 'age --version && zstd --version',
  installHint: 'apt-get install zstd age',
  env: () => ({}),
  init: (place) =>
    `mkdir -p ${repositoryOf(place)} && age-keygen -o ${repositoryOf(place)}/key && age-keygen -y ${repositoryOf(place)}/key > ${repositoryOf(place)}/recipient`,
  incremental: false,
  backUpMedia: (place, { directory }) =>
    `tar -C ${quoted(directory)} -c . | zstd -q | age -R ${repositoryOf(place)}/recipient > ${repositoryOf(place)}/media.age`,
  restoreMedia: (place, target) =>
    `mkdir -p ${quoted(target)} && ${opened(place)} | tar -C ${quoted(target)} -x`,
  check: (place) => `${opened(place)} | tar -t > /dev/null`,
};

function opened(place: Place): string {
  return `age -d -i ${repositoryOf(place)}/key ${repositoryOf(place)}/media.age | zstd -dq`;
}

export const PEERS: readonly Tool[] = [restic, kopia, borg, rustic, rsync, tarZstdAge];
