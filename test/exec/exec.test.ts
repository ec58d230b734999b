import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import {
  findProgram,
  requireProgram,
  runCommand,
  startService,
  streamIn,
  streamOut,
} from '../../src/exec/index.ts';

async function whenSaid(file: string, word: string): Promise<void> {
  while (!(await readFile(file, 'utf8')).includes(word)) await setTimeout(10);
}

const sh = (script: string) => ['/bin/sh', '-c', script];
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-exec-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a command', () => {
  it('gives exit status and both outputs, and throws only when asked to', async () => {
    expect(await runCommand(sh('echo out; echo err >&2; exit 3'))).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    await expect(runCommand(sh('echo because >&2; exit 3'), { check: true })).rejects.toThrow(
      'sh failed with exit status 3: because',
    );
  });

  it('never shows its arguments or a secret that it printed', async () => {
    const password = new Secret('canary-5f1c77');
    const script = `echo "cannot log in with ${password.reveal()}" >&2; exit 1`;
    const error = await runCommand(sh(script), { check: true }).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain('[secret]');
    expect(String(error)).not.toContain('canary-5f1c77');
  });

  it('is told apart when the program is missing, with the package to install', async () => {
    await expect(runCommand(['bwrap-is-not-here'])).rejects.toMatchObject({ code: 'command-missing' });
    expect(() => requireProgram('no-such-program')).toThrow(/not installed/);
    expect(findProgram('sh')).toMatch(/\/sh$/);
  });

  it('is told apart also when the path leads through a directory that is closed to us', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'lifeboat-exec-'));
    const file = join(closed, 'program');
    await writeFile(file, 'no program', { mode: 0o600 });
    await expect(runCommand([file])).rejects.toMatchObject({ code: 'command-missing' });
    await rm(closed, { recursive: true });
  });

  it('does not inherit our environment', async () => {
    process.env['LIFEBOAT_TEST_CANARY'] = 'inherited';
    const { stdout } = await runCommand(['env'], { env: { GIVEN: 'yes' } });
    delete process.env['LIFEBOAT_TEST_CANARY'];
    expect(stdout).toContain('GIVEN=yes');
    expect(stdout).toContain('LANG=C.UTF-8');
    expect(stdout).not.toContain('LIFEBOAT_TEST_CANARY');
  });

  it('reads its input and ends when it is interrupted', async () => {
    expect((await runCommand(['cat'], { input: 'hello' })).stdout).toBe('hello');
    const abort = new AbortController();
    const running = runCommand(['sleep', '600'], { signal: abort.signal });
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('ends a command that takes too long', async () => {
    await expect(runCommand(['sleep', '600'], { timeoutMs: 50, check: true })).rejects.toThrow(
      'sleep took too long',
    );
  });
});

describe('a stream out of a command', () => {
  const discard = () => new Writable({ write: (_chunk, _encoding, done) => done() });

  it('carries every byte', async () => {
    const { stdout, done } = streamOut(sh('head -c 3000000 /dev/zero'));
    expect((await buffer(stdout)).length).toBe(3_000_000);
    await done;
  });

  it('fails a pipeline when the command exits with 3 after all its output', async () => {
    const { stdout } = streamOut(sh('head -c 300000 /dev/zero; echo "disk quota" >&2; exit 3'));
    await expect(pipeline(stdout, discard())).rejects.toThrow('sh failed with exit status 3: disk quota');
  });

  it('fails a pipeline when the command is killed', async () => {
    const { stdout } = streamOut(sh('head -c 300000 /dev/zero; kill -9 $$'));
    await expect(pipeline(stdout, discard())).rejects.toThrow('was ended by SIGKILL');
  });

  it('ends the command when the reader gives up', async () => {
    const { stdout, done } = streamOut(['cat', '/dev/zero']);
    stdout.destroy();
    await expect(done).rejects.toMatchObject({ code: 'command-failed' });
  });

  it('fails when the program is missing', async () => {
    const { stdout } = streamOut(['no-such-program']);
    await expect(buffer(stdout)).rejects.toMatchObject({ code: 'command-missing' });
  });
});

describe('a stream into a command', () => {
  it('is read to its end', async () => {
    const file = join(directory, 'received');
    const { stdin, done } = streamIn(sh(`cat > ${file}`));
    stdin.end('all of it');
    await finished(stdin);
    await done;
    expect(await readFile(file, 'utf8')).toBe('all of it');
  });

  it('says why the command ended early', async () => {
    const { stdin, done } = streamIn(sh('echo "wrong format" >&2; exit 4'));
    stdin.on('error', () => undefined);
    stdin.write('x');
    await expect(done).rejects.toThrow('sh failed with exit status 4: wrong format');
  });
});

describe('a service', () => {
  it('goes on until it is stopped, and writes its log itself', async () => {
    const logFile = join(directory, 'service.log');
    const service = await startService(sh('echo started; exec sleep 600'), { logFile });
    await whenSaid(logFile, 'started');
    await service.stop(1000);
    expect(() => process.kill(service.pid, 0)).toThrow('ESRCH');
  });

  it('is killed when it does not listen', async () => {
    const logFile = join(directory, 'deaf.log');
    const service = await startService(sh(`trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done`), {
      logFile,
    });
    await whenSaid(logFile, 'ready');
    await service.stop(300);
    await whenSaid(logFile, 'no');
    expect(() => process.kill(service.pid, 0)).toThrow('ESRCH');
  });

  it('is an error at once when the program is missing', async () => {
    await expect(startService(['no-such-program'])).rejects.toMatchObject({ code: 'command-missing' });
  });
});

it('children end when this process is terminated', async () => {
  const pidFile = join(directory, 'child.pid');
  const door = new URL('../../src/exec/index.ts', import.meta.url).href;
  const script = `const { streamOut } = await import('${door}'); streamOut(['/bin/sh', '-c', 'echo $$ > ${pidFile}; exec sleep 600']).done.catch(() => {});`;
  const parent = await startService([process.execPath, '--input-type=module', '--eval', script]);
  const pid = await numberIn(pidFile);
  await parent.stop();
  while (isRunning(pid)) await setTimeout(10);
}, 60_000);

async function numberIn(file: string): Promise<number> {
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.endsWith('\n')) return Number(text);
    await setTimeout(10);
  }
}

/** A zombie whose parent has not looked yet counts as ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
