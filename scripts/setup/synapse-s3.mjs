// synapse-s3-storage-provider for tests: beside the virtual environment of Synapse, which stays what it is.
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findPython } from './python.mjs';
import { run, SetupError } from './terminal.mjs';

/** test/e2e/synapse-with-s3.ts looks for the same. */
const VERSION = '1.7.0';
/** What Synapse's own environment does not have; versions as they passed. psycopg2 is there as psycopg2-binary. */
const PACKAGES = [
  `synapse-s3-storage-provider==${VERSION}`,
  'boto3==1.44.8',
  'botocore==1.44.8',
  'jmespath==1.1.0',
  'python-dateutil==2.9.0.post0',
  's3transfer==0.19.3',
];
const CACHE =
  process.getuid() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const DIRECTORY = join(CACHE, `synapse-s3-storage-provider-${VERSION}`);
const advice = 'It takes a Python 3.10 or newer with pip, and a Python package registry. Try again.';

export function synapseS3() {
  return {
    title: `synapse-s3-storage-provider ${VERSION}`,
    takes: 'ten seconds',
    advice,
    missing: async () =>
      access(join(DIRECTORY, 's3_storage_provider.py')).then(
        () => undefined,
        () => 'not installed yet',
      ),
    install: async () => {
      const python = await findPython();
      if (python === undefined) throw new SetupError('no Python 3.10 or newer', advice);
      const unfinished = `${DIRECTORY}.unfinished-${process.pid}`;
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished, { recursive: true, mode: 0o755 });
      const venv = join(unfinished, 'venv');
      await run([python, '-m', 'venv', venv], { advice });
      const pip = [join(venv, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--only-binary', ':all:'];
      await run([...pip, '--no-deps', '--target', unfinished, ...PACKAGES], { advice });
      await rm(venv, { recursive: true });
      await rename(unfinished, DIRECTORY);
    },
  };
}
