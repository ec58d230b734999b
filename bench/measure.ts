import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { tmpdir } from 'node:os';
import { PEERS_DIRECTORY } from './places.ts';

/** What one command took, children included. */
export interface Cost {
  readonly wallSeconds: number;
  /** User and system. */
  readonly cpuSeconds: number;
  /** The largest resident set of any one of its processes. */
  readonly rssMiB: number;
}

export interface Measured extends Cost {
  readonly stdout: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

let runs = 0;

/**
 * Runs a shell command under GNU time, which reads wait4's resource usage: every process of a pipeline counts, and every
 * child that it waits for. Servers that were running before (PostgreSQL) do not. What is dirty is written out first.
 */
export async function measure(script: string, options: RunOptions = {}): Promise<Measured> {
  runs += 1;
  const report = join(tmpdir(), `lifeboat-bench-${process.pid}-${runs}`);
  await run('sync');
  try {
    const stdout = await execute(
      ['/usr/bin/time', '-o', report, '-f', '%e %U %S %M', 'bash', '-o', 'pipefail', '-c', script],
      options,
    );
    const [wall, user, system, kib] = (await readFile(report, 'utf8'))
      .trim()
      .split('\n')
      .at(-1)!
      .split(' ')
      .map(Number);
    return { wallSeconds: wall!, cpuSeconds: user! + system!, rssMiB: kib! / 1024, stdout };
  } finally {
    await rm(report, { force: true });
  }
}

/** Runs a shell command without measuring it. Rejects, with what it said, when it fails. */
export async function run(script: string, options: RunOptions = {}): Promise<string> {
  return execute(['bash', '-o', 'pipefail', '-c', script], options);
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of each figure by itself. */
export function medianCost(costs: readonly Cost[]): Cost {
  return {
    wallSeconds: median(costs.map(({ wallSeconds }) => wallSeconds)),
    cpuSeconds: median(costs.map(({ cpuSeconds }) => cpuSeconds)),
    rssMiB: Math.max(...costs.map(({ rssMiB }) => rssMiB)),
  };
}

const KEPT = 64 * 1024;

function execute(argv: readonly string[], { env = {}, cwd }: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const PATH = `${PEERS_DIRECTORY}${delimiter}${process.env['PATH'] ?? ''}`;
    const child = spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, PATH, ...env },
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name]
        .setEncoding('utf8')
        .on('data', (text: string) => (said[name] = (said[name] + text).slice(-KEPT)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(said.stdout);
      else
        reject(
          new Error(
            `${argv.at(-1)}\nended with ${code ?? signal}:\n${(said.stdout + said.stderr).slice(-2000)}`,
          ),
        );
    });
  });
}
