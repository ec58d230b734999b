import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { freePorts, runSynapse } from '../../src/demo/lab/index.ts';
import { register } from '../../src/demo/world/client.ts';

let directory: string;
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'lifeboat-lab-unit-'))));
afterEach(async () => await rm(directory, { recursive: true, force: true }));

async function nobodyAt(): Promise<string> {
  return `http://127.0.0.1:${(await freePorts(1))[0]}`;
}

describe('starting a server of the lab', () => {
  it('says how it ended and what it wrote last, when it does not start', async () => {
    const argv = ['sh', '-c', 'echo the database is on fire >&2; exit 3'];
    await expect(runSynapse({ argv, directory, clientUrl: await nobodyAt() })).rejects.toMatchObject({
      code: 'start-failed',
      message: expect.stringMatching(/ended with status 3; it wrote: the database is on fire$/) as string,
    });
  });

  it('says so when it wrote nothing', async () => {
    const starting = runSynapse({ argv: ['false'], directory, clientUrl: await nobodyAt() });
    await expect(starting).rejects.toThrow(/ended with status 1; it wrote nothing$/);
  });

  it('leaves no process when it is interrupted', async () => {
    const argv = ['sh', '-c', 'echo $$ > pid; exec sleep 60'];
    const stop = new AbortController();
    const starting = runSynapse({ argv, directory, clientUrl: await nobodyAt(), signal: stop.signal });
    const readPid = async () => Number(await readFile(join(directory, 'pid'), 'utf8').catch(() => '0'));
    while ((await readPid()) === 0) await sleep(10);
    const pid = await readPid();
    stop.abort();
    await expect(starting).rejects.toMatchObject({ code: 'interrupted' });
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});

describe('a client of the demo', () => {
  let server: Server;
  const listen = async (listener: RequestListener): Promise<string> => {
    server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('names the request and the answer of a server that refuses, and does not ask again', async () => {
    let asked = 0;
    const url = await listen((_, response) => {
      asked += 1;
      response.writeHead(403).end('{"errcode":"M_FORBIDDEN"}');
    });
    await expect(register(url, new Secret('of the test'), 'alice', 'Alice')).rejects.toMatchObject({
      code: 'command-failed',
      message: 'GET /_synapse/admin/v1/register failed: 403 {"errcode":"M_FORBIDDEN"}',
    });
    expect(asked).toBe(1);
  });

  it('waits no longer for an answer when it is interrupted', async () => {
    const stop = new AbortController();
    const url = await listen(() => stop.abort());
    const registering = register(url, new Secret('of the test'), 'alice', 'Alice', stop.signal);
    await expect(registering).rejects.toMatchObject({ code: 'interrupted' });
  });
});
