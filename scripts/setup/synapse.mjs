// A Synapse of a pinned version in a virtual environment, outside of the checkout so that clones share it.
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findPython } from './python.mjs';
import { ask, run, SetupError } from './terminal.mjs';

/** src/demo/lab/installed.ts looks for the same. */
const VERSION = '1.163.2';
const CACHE =
  process.getuid() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const VENV = join(CACHE, `synapse-${VERSION}`);
const PYTHON = join(VENV, 'bin', 'python');
/** There while the installation is under way. A virtual environment cannot be made elsewhere and moved: its paths are absolute. */
const UNFINISHED = join(CACHE, `synapse-${VERSION}.unfinished`);
/** Every package with its version, as `pip freeze` printed them where the tests passed. */
const REQUIREMENTS = new URL('./synapse-requirements.txt', import.meta.url);
const advice =
  'It takes a Python 3.10 or newer with venv, and a Python package registry. Try again; `pip` says above what went wrong.';

export function synapse() {
  return {
    title: `Synapse ${VERSION}`,
    takes: 'a minute',
    advice,
    missing,
    install: async () => {
      const python = await findPython();
      if (python === undefined) throw new SetupError('no Python 3.10 or newer with venv', advice);
      await mkdir(CACHE, { recursive: true, mode: 0o755 });
      await writeFile(UNFINISHED, '');
      await rm(VENV, { recursive: true, force: true });
      await run([python, '-m', 'venv', VENV], { advice });
      await run(
        [
          PYTHON,
          '-m',
          'pip',
          'install',
          '--quiet',
          '--only-binary',
          ':all:',
          '--requirement',
          REQUIREMENTS.pathname,
        ],
        { advice },
      );
      await rm(UNFINISHED);
    },
  };
}

async function missing() {
  if (await exists(UNFINISHED)) return 'an earlier installation was interrupted';
  if (!(await exists(PYTHON))) return 'not installed yet';
  // In one interpreter, which asks the package metadata: importing Synapse would take a second.
  const wanted = (await readFile(REQUIREMENTS, 'utf8')).split('\n').filter((line) => /^[A-Za-z]/.test(line));
  const program =
    'import importlib.metadata as m, sys; sys.exit(any(m.version(n) != v for n, v in (r.split("==") for r in sys.argv[1:])))';
  return (await ask([PYTHON, '-B', '-c', program, ...wanted])) === undefined
    ? 'other versions than the pinned ones'
    : undefined;
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
