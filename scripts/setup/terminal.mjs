// How the set-up talks, and how it runs other programs.
import { spawn } from 'node:child_process';

/** Something that the user has to solve; `advice` says how. */
export class SetupError extends Error {
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

export function formatSeconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Runs a program whose output nobody wants unless it fails. Returns its output; throws a SetupError. */
export async function run(argv, { advice, env = {}, cwd } = {}) {
  const { code, output } = await start(argv, env, cwd);
  if (code === 0) return output;
  process.stderr.write(`${output.trimEnd().split('\n').slice(-60).join('\n')}\n`);
  throw new SetupError(`\`${argv.join(' ')}\` failed (${code})`, advice);
}

/** The output of a program, or undefined where it is missing or fails. */
export async function ask(argv) {
  const { code, output } = await start(argv, {});
  return code === 0 ? output.trim() : undefined;
}

function start([program, ...args], env, cwd) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve({ code: error.code, output: error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
