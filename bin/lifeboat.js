#!/usr/bin/env node
/*
 * Plain JavaScript that old versions of Node.js can read too: finds a Node.js that is new enough, and starts the program
 * there: the sources in a checkout, `dist` in an installed package.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NEEDED = 24;

function at(path) {
  return fileURLToPath(new URL('../' + path, import.meta.url));
}

async function start() {
  // A `dist` in a checkout may be older than the sources.
  const { runProcess } = await (existsSync(at('src'))
    ? import('../src/cli/process.ts')
    : import(at('dist/cli/process.js')));
  await runProcess();
}

/** npm's package `node` brings the program itself, as a dev dependency of a checkout. */
function startWithPackagedNode(program) {
  const child = spawn(program, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // Ctrl-C reaches the whole group: the child decides what to do, we wait for it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', refuse);
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? code : 130;
  });
}

function refuse() {
  process.stderr.write(
    'lifeboat: error: needs Node.js ' + NEEDED + ' or newer, this is ' + process.versions.node + '\n',
  );
  process.stderr.write(
    'hint: Install Node.js ' +
      NEEDED +
      ' or newer, or run `npm install` in the checkout, which brings one.\n',
  );
  process.exitCode = 2;
}

const packaged = at('node_modules/node/bin/node');
if (Number(process.versions.node.split('.')[0]) >= NEEDED) await start();
else if (existsSync(packaged)) startWithPackagedNode(packaged);
else refuse();
