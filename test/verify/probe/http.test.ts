import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { requestJson, within } from '../../../src/verify/probe/http.ts';

let server: Server;

afterEach(() => server?.close());

async function ask(answer: RequestListener, prepare: (socket: Socket) => void = () => {}) {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const open = () =>
    new Promise<Socket>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        prepare(socket);
        resolve(socket);
      });
    });
  return await requestJson(open, {
    method: 'POST',
    path: '/x',
    headers: { host: 'h' },
    json: { a: 1 },
    timeoutMs: 5000,
  });
}

describe('a request', () => {
  it('is answered over a connection that is handed over paused, as those of a sandbox are', async () => {
    const answer = await ask(
      (_request, response) => response.end('{"b":2}'),
      (socket) => socket.pause(),
    );
    expect(answer).toEqual({ status: 200, json: { b: 2 } });
  });

  it('sends its JSON with its length', async () => {
    const seen: unknown[] = [];
    await ask((request, response) => {
      seen.push(request.headers['content-length'], request.headers['content-type'], request.headers.host);
      response.writeHead(403).end('no JSON');
    });
    expect(seen).toEqual(['7', 'application/json', 'h']);
  });

  it('takes an answer that is no JSON object for an empty one', async () => {
    expect(await ask((_request, response) => response.writeHead(502).end('<html>'))).toEqual({
      status: 502,
      json: {},
    });
    server.close();
    expect(await ask((_request, response) => response.end('[1]'))).toEqual({ status: 200, json: {} });
  });

  it('fails when the answer breaks off', async () => {
    await expect(
      ask((_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{', () => response.destroy());
      }),
    ).rejects.toThrow();
  });

  it('fails when the answer does not end', async () => {
    const endless = '"'.padEnd(1 << 20, 'x');
    await expect(
      ask((_request, response) => {
        const more = (): boolean => response.write(endless);
        response.on('drain', more);
        while (more());
      }),
    ).rejects.toThrow('the answer is longer than');
  });
});

describe('a time limit', () => {
  it('ends work that waits for ever, and tells it so', async () => {
    let aborted = false;
    const work = within(5, 'the work', async (signal) => {
      signal.addEventListener('abort', () => (aborted = true));
      return await new Promise(() => {});
    });
    await expect(work).rejects.toThrow('the work: no answer within 5 ms');
    expect(aborted).toBe(true);
  });
});
