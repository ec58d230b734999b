// Compiles src/ to dist/ for the npm package, and copies what is no TypeScript.
import { cp, rm } from 'node:fs/promises';
import { runStage } from './stages.mjs';

await rm('dist', { recursive: true, force: true });
const compiled = await runStage({
  title: 'compile',
  argv: [process.execPath, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
});
if (compiled) await cp('src', 'dist', { recursive: true, filter: (path) => !path.endsWith('.ts') });
process.exitCode = compiled ? 0 : 1;
