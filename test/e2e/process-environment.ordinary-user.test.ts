import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { runCommand } from '../../src/exec/index.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const TESTS = 'test/e2e/process-environment.test.ts';
const isRoot = process.getuid?.() === 0;
/** Somebody without a name, outside of the range that drills draw from. */
const ORDINARY = 61_100;

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

it('a process environment keeps all its promises to an ordinary user too', async () => {
  const home = await mkdtemp(join(tmpdir(), 'lb-usr-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const project = join(home, 'project');
  await mkdir(project);
  const result = join(home, 'result.json');
  const node = process.execPath.startsWith(`${ROOT}/`)
    ? join(project, relative(ROOT, process.execPath))
    : process.execPath;
  const vitest = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project=real',
    '--no-cache',
    '--configLoader=native',
  ];
  const argv = [...vitest, '--reporter=json', `--outputFile=${result}`, TESTS];
  const { stdout, stderr } = await runCommand(
    isRoot ? await asOrdinary(home, project, [node, ...argv]) : [process.execPath, ...argv],
    {
      cwd: ROOT,
      env: { HOME: home, TMPDIR: home },
    },
  );
  const report = JSON.parse(await readFile(result, 'utf8').catch(() => 'null')) as Report | null;
  expect(report, `${stdout}${stderr}`).not.toBeNull();
  const failed = report!.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status !== 'passed')
    .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join()}`);
  expect(failed).toEqual([]);
  expect(report!.numPassedTests).toBeGreaterThan(40);
});

/** The checkout may lie in root's home, which is closed: a mount shows it, in a mount namespace of its own. */
async function asOrdinary(home: string, project: string, argv: readonly string[]): Promise<string[]> {
  for (const path of [home, project]) await chown(path, ORDINARY, ORDINARY);
  const script = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec setpriv "$@"';
  const user = [
    `--reuid=${ORDINARY}`,
    `--regid=${ORDINARY}`,
    '--clear-groups',
    '--no-new-privs',
    '--bounding-set=-all',
  ];
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', ROOT, project, ...user, '--', ...argv];
}
