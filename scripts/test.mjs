// `npm test`: the checks, the build, then all tests. The last line is `N passed, N failed`; each failed stage counts
// as one failure.
// Arguments go to vitest: `npm test -- test/storage`.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, checks, runStage, vitest } from './stages.mjs';

const directory = await mkdtemp(join(tmpdir(), 'lifeboat-npm-test-'));
const resultFile = join(directory, 'result.json');
let passed = 0;
let failed = 0;

for (const stage of [...checks, build]) {
  if (await runStage(stage)) passed += 1;
  else failed += 1;
}

const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`];
const went = await runStage({ title: 'tests', argv: vitest(...reporters, ...process.argv.slice(2)) });
const result = await readFile(resultFile, 'utf8').then(JSON.parse, () => undefined);
passed += result?.numPassedTests ?? 0;
// A file that does not load has no tests that could fail; a skipped test proves nothing.
const notRun = (result?.numPendingTests ?? 0) + (result?.numTodoTests ?? 0);
const inTests = (result?.numFailedTests ?? 0) + notRun;
failed += inTests === 0 && !went ? 1 : inTests;
if (notRun > 0) process.stdout.write(`${notRun} tests were skipped, which counts as failed\n`);
await rm(directory, { recursive: true, force: true });

process.exitCode = failed === 0 ? 0 : 1;
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
