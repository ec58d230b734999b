import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Command } from '../protocol.ts';

/** Characters kept of each output of a command. */
const KEPT = 1024 * 1024;
const running = new Map<string, ChildProcess>();

export function execute(
  command: Command,
  timeoutMs: number | undefined,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command.argv;
    const child = spawn(program ?? '', args, {
      cwd: command.cwd,
      env: command.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < KEPT) output[name] += text.slice(0, KEPT - output[name].length);
      });
    }
    const timeOut = () => {
      output.stderr += `\nended after ${timeoutMs} ms`;
      killGroup(child, 'SIGKILL');
      // A child that left the group may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(timeOut, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ exitCode: code ?? -1, ...output });
    });
  });
}

/** Resolves with the process id; errors when the program cannot be started. */
export function start(
  name: string,
  command: Command,
  log: string,
  onExit: (exitCode: number) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command.argv;
    const fd = openSync(log, 'a', 0o600);
    const child = spawn(program ?? '', args, {
      cwd: command.cwd,
      env: command.env,
      stdio: ['ignore', fd, fd],
      detached: true,
    });
    closeSync(fd);
    child.on('error', reject);
    child.on('spawn', () => {
      running.set(name, child);
      resolve(child.pid ?? 0);
    });
    child.on('exit', (code) => {
      running.delete(name);
      onExit(code ?? -1);
    });
  });
}

export function stop(name: string, graceMs: number): Promise<void> {
  const child = running.get(name);
  if (child === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
    child.on('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    killGroup(child, 'SIGTERM');
  });
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running.keys()].map((name) => stop(name, 2000)));
}

/** Each command leads a group of its own, so that its children end with it. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended by itself in the meantime.
  }
}
