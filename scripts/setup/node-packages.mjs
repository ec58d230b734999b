// node_modules as package-lock.json says, with a Node 24 of its own in node_modules/.bin.
import { access, readFile } from 'node:fs/promises';
import { ask, run } from './terminal.mjs';

const ROOT = new URL('../../', import.meta.url);
const NODE = new URL('node_modules/node/bin/node', ROOT).pathname;
const advice = 'Run `npm ci` by hand to see what npm says; it needs a package registry.';

export function nodePackages() {
  return {
    title: 'npm packages',
    takes: '20 s',
    advice,
    missing: async () => (await differing()) ?? (await wrongNode()),
    install: async () => {
      if ((await differing()) !== undefined)
        await run(['npm', 'ci', '--no-progress'], { advice, cwd: ROOT.pathname });
      // .npmrc forbids install scripts; that of the package `node`, which fetches Node's binary, is the one exception.
      if ((await wrongNode()) !== undefined)
        await run(['npm', 'rebuild', 'node', '--ignore-scripts=false'], { advice, cwd: ROOT.pathname });
    },
  };
}

/** npm notes what it installed in a lock file of its own: both must agree. */
async function differing() {
  const [wanted, installed] = await Promise.all(
    ['package-lock.json', 'node_modules/.package-lock.json'].map(readLock),
  );
  if (installed === undefined) return 'not installed yet';
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path]?.version;
    if (found !== version && !(found === undefined && optional === true))
      return `${path.replace('node_modules/', '')} is not ${version}`;
  }
  return undefined;
}

async function readLock(path) {
  const text = await readFile(new URL(path, ROOT), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text).packages;
}

async function wrongNode() {
  const wanted = (await readLock('package-lock.json'))['node_modules/node'].version;
  const there = await access(NODE).then(
    () => ask([NODE, '--version']),
    () => undefined,
  );
  return there === `v${wanted}` ? undefined : `Node ${wanted} is missing`;
}
