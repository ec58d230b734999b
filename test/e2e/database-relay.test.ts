import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relayArgv } from '../../src/database/ways/far-scripts.ts';

const SIZE_BYTES = 3_000_000;
let directory: string;
let server: { readonly tcp: Server; readonly unix: Server };
let gone: Promise<unknown>;

/** Answers one line with many bytes and closes, unless the line is `wait`. */
function answer(socket: Socket): void {
  gone = once(socket, 'close');
  socket
    .on('error', () => undefined)
    .once('data', (line) => {
      if (line.toString() !== 'wait\n') socket.end(Buffer.alloc(SIZE_BYTES, line));
    });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-relay-'));
  server = { tcp: createServer(answer), unix: createServer({ allowHalfOpen: false }, answer) };
  server.tcp.listen(0, '127.0.0.1');
  server.unix.listen(join(directory, '.s.PGSQL.5432'));
  await Promise.all([once(server.tcp, 'listening'), once(server.unix, 'listening')]);
});
afterAll(() => {
  server.tcp.close();
  server.unix.close();
  rmSync(directory, { recursive: true });
});

/** The relay where nothing else is installed than a shell and these programs, by the names that it looks for. */
function relay(host: string, programs: Readonly<Record<string, string>>) {
  const bin = join(directory, ['bin', ...Object.values(programs)].join('-'));
  mkdirSync(bin, { recursive: true });
  for (const [name, program] of Object.entries({ sh: 'sh', cat: 'cat', ...programs })) {
    // Not a script of some version manager, which needs more than itself.
    const ask =
      program === 'python3' ? 'python3 -c "import sys; print(sys.executable)"' : `command -v ${program}`;
    const path = execFileSync('sh', ['-c', ask], { encoding: 'utf8' }).trim();
    rmSync(join(bin, name), { force: true });
    symlinkSync(path, join(bin, name));
  }
  const port = host.startsWith('/') ? 5432 : (server.tcp.address() as AddressInfo).port;
  const [program = '', ...args] = relayArgv(host, port);
  return spawn(join(bin, program), args, { env: { PATH: bin } });
}

const EVERY = ['socat', 'perl', 'python3'].map((name) => [name, { [name]: name }] as const);
const ONLY_TCP = [['nc of busybox', { nc: 'busybox' }]] as const;

describe.each([
  ...EVERY.map(([name, programs]) => [name, 'a port', programs, () => '127.0.0.1'] as const),
  ...ONLY_TCP.map(([name, programs]) => [name, 'a port', programs, () => '127.0.0.1'] as const),
  ...EVERY.map(([name, programs]) => [name, 'a socket', programs, () => directory] as const),
])('a connection passed on by %s to %s', (_name, _to, programs, host) => {
  it('has every byte both ways and ends with the server', async () => {
    const child = relay(host(), programs);
    child.stdin.write('x\n');
    const [received, [status]] = await Promise.all([buffer(child.stdout), once(child, 'exit')]);
    expect(received.length).toBe(SIZE_BYTES);
    expect(received.equals(Buffer.alloc(SIZE_BYTES, 'x\n'))).toBe(true);
    expect(status === 0 || status === null || status === 143).toBe(true);
  });

  it('ends when we end', async () => {
    const child = relay(host(), programs);
    child.stdin.end('wait\n');
    await once(child, 'exit');
    await gone;
  });
});

it('says what is missing where none of them is, and for a socket where only TCP can be reached', async () => {
  for (const [host, programs] of [
    ['127.0.0.1', {}],
    [directory, { nc: 'busybox' }],
  ] as const) {
    const child = relay(host, programs);
    const [said, [status]] = await Promise.all([buffer(child.stderr), once(child, 'exit')]);
    expect(said.toString()).toContain('is needed there, and none is found');
    expect(status).toBe(69);
  }
});
