// The stages of `npm test` and `npm run check`, each a program of node_modules that shows its own output.
import { spawn } from 'node:child_process';

const program = (path, ...args) => [process.execPath, `node_modules/${path}`, ...args];

export const checks = [
  { title: 'types', argv: program('typescript/bin/tsc', '--noEmit', '-p', '.') },
  { title: 'lint', argv: program('oxlint/bin/oxlint', '--type-aware', '--quiet') },
  { title: 'format', argv: program('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.') },
  { title: 'dead code', argv: program('knip/bin/knip.js') },
];

export const build = { title: 'build', argv: [process.execPath, 'scripts/build.mjs'] };

export const vitest = (...args) => program('vitest/vitest.mjs', 'run', ...args);

/** Shows what the stage says as it says it; true when it went well. */
export async function runStage({ title, argv }) {
  const started = performance.now();
  process.stdout.write(`\n── ${title}\n`);
  const [command, ...args] = argv;
  const code = await new Promise((resolve) => {
    spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
      .on('error', (error) => resolve(error.code))
      .on('close', (status, signal) => resolve(status ?? signal));
  });
  process.stdout.write(
    `── ${title}: ${code === 0 ? 'ok' : `FAILED (${code})`}, ${((performance.now() - started) / 1000).toFixed(1)} s\n`,
  );
  return code === 0;
}
