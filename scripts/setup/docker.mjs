// A Docker engine for the tests, and the images that they run: an engine that answers is used as it is, images that are there
// are kept. What is started here goes on after the set-up; its pid file and log lie in the cache.
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { access, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { becomeRoot, installPackages, isInstalled } from './packages.mjs';
import { ask, run, say, SetupError } from './terminal.mjs';

const SUITE = 'bookworm';
/** test/docker/container.ts names the same. */
const POSTGRES_IMAGE = 'lifeboat-test/postgres:15';
const LOCAL_BASE = `lifeboat-test/debian:${SUITE}-slim`;
const USUAL_BASE = `debian:${SUITE}-slim`;
const CONTEXT = fileURLToPath(new URL('../../testcontainers/postgres', import.meta.url));
const CACHE = join(
  process.getuid() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'matrix-lifeboat'),
  'docker',
);
/** Names the inputs that an image was built from. */
const LABEL = 'matrix-lifeboat.inputs';
const START_TIMEOUT_MS = 60_000;
const advice = 'Start Docker, let this user use it (`docker info` must answer), and try again.';

export function docker() {
  return {
    title: 'Docker engine and a PostgreSQL image',
    takes: 'two minutes',
    advice,
    missing: async () => {
      if (!(await answers())) return 'no Docker engine answers';
      const inputs = await ask([
        'docker',
        'image',
        'inspect',
        '--format',
        `{{index .Config.Labels "${LABEL}"}}`,
        POSTGRES_IMAGE,
      ]);
      if (inputs === undefined) return `the image ${POSTGRES_IMAGE} is not built yet`;
      return inputs === (await digestOfContext()) ? undefined : `the image ${POSTGRES_IMAGE} is outdated`;
    },
    install: async () => {
      await mkdir(CACHE, { recursive: true, mode: 0o755 });
      if (!(await answers())) await startEngine();
      const inputs = await digestOfContext();
      const base = await baseImage();
      await run(
        [
          'docker',
          'build',
          '--quiet',
          '--build-arg',
          `BASE_IMAGE=${base}`,
          '--label',
          `${LABEL}=${inputs}`,
          '--tag',
          POSTGRES_IMAGE,
          CONTEXT,
        ],
        { advice, env: { DOCKER_BUILDKIT: '0' } },
      );
    },
  };
}

async function answers() {
  return (await ask(['docker', 'version', '--format', '{{.Server.Version}}'])) !== undefined;
}

async function digestOfContext() {
  const hash = createHash('sha256');
  for (const name of (await readdir(CONTEXT)).toSorted())
    hash.update(name).update(await readFile(join(CONTEXT, name)));
  return hash.digest('hex').slice(0, 16);
}

async function startEngine() {
  if (process.getuid() !== 0)
    throw new SetupError('no Docker engine answers, and only root can start one', advice);
  if (!isInstalled('dockerd')) await installPackages([], ['docker.io']);
  // Where the package's own scripts start services, they have done so by now.
  if (await answers()) return;
  const [pidFile, logFile] = ['dockerd.pid', 'dockerd.log'].map((name) => join(CACHE, name));
  // Of an engine that did not end by itself; with it dockerd refuses to start if another process has its number now.
  await rm(pidFile, { force: true });
  const log = await open(logFile, 'a');
  // Ports are published on loopback only. In a session of its own, so that it outlives the set-up.
  spawn('dockerd', ['--pidfile', pidFile, '--ip', '127.0.0.1'], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  }).unref();
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answers())) {
    if (performance.now() > deadline)
      throw new SetupError(`dockerd did not start; see the end of ${logFile}`, advice);
    await sleep(200);
  }
  await log.close();
}

/** The usual one where a registry can be reached; otherwise its equivalent, from Debian's packages. */
async function baseImage() {
  for (const image of [USUAL_BASE, LOCAL_BASE])
    if ((await ask(['docker', 'image', 'inspect', image])) !== undefined) return image;
  if ((await ask(['timeout', '120', 'docker', 'pull', '--quiet', USUAL_BASE])) !== undefined)
    return USUAL_BASE;
  say('no image registry; making the base image from Debian packages');
  const asRoot = await becomeRoot('Install mmdebstrap as an administrator: apt-get install mmdebstrap');
  if (!isInstalled('mmdebstrap')) await installPackages(asRoot, ['mmdebstrap']);
  const tar = join(CACHE, `base-${process.pid}.tar`);
  try {
    await run([...asRoot, 'mmdebstrap', ...(await bootstrapOptions()), SUITE, tar], { advice });
    await run(['docker', 'import', '--change', 'CMD ["bash"]', tar, LOCAL_BASE], { advice });
  } finally {
    await rm(tar, { force: true });
  }
  return LOCAL_BASE;
}

/** As debian:*-slim is made: no documentation, no services at installation; and what this machine trusts is trusted inside. */
async function bootstrapOptions() {
  const certificates = '/usr/local/share/ca-certificates';
  const trusted = await access(certificates).then(
    () => readdir(certificates),
    () => [],
  );
  return [
    '--variant=minbase',
    '--quiet',
    '--include=usr-is-merged',
    '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
    '--aptopt=Acquire::Languages "none"',
    ...['man', 'locale', 'doc', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    ...(trusted.length === 0
      ? []
      : [
          '--include=ca-certificates,openssl',
          `--customize-hook=copy-in ${certificates} /usr/local/share`,
          '--customize-hook=chroot "$1" update-ca-certificates',
        ]),
    '--customize-hook=printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"',
    '--customize-hook=rm -f "$1"/etc/hostname "$1"/etc/resolv.conf',
  ];
}
