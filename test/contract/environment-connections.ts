import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { Environment } from '../../src/environment/port.ts';
import { eventually } from '../environment/processes.ts';

const PYTHON = '/usr/bin/python3';
/** Serves one port of 127.0.0.1 inside; each connection is handled by `handle(c)`. */
const server = (port: number, handle: string) => [
  PYTHON,
  '-uc',
  `
import socket, struct, sys, threading
${handle}
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', ${port}))
s.listen(64)
print('listening')
while True:
    c, _ = s.accept()
    threading.Thread(target=handle, args=(c,), daemon=True).start()
`,
];
const ECHO = `
def handle(c):
    while (data := c.recv(65536)):
        c.sendall(data)
    c.close()
`;
/** Reads a request to its end, then answers much. */
const ANSWER_LATE = `
def handle(c):
    while c.recv(65536):
        pass
    c.sendall(b'x' * 5_000_000)
    c.close()
`;
/** Says three bytes and breaks off: SO_LINGER 0 makes close() a reset. */
const RESET = `
def handle(c):
    c.sendall(b'abc')
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()
`;

/** The part of the environment's contract that is about connections; `environment` gives one that is prepared. */
export function connectionContract(environment: () => Environment): void {
  async function serve(service: string, port: number, handle: string) {
    const running = await environment().run(service, { argv: server(port, handle) });
    await eventually(async () => (await readFile(running.logFile, 'utf8')).includes('listening'));
    return running;
  }

  describe('connections', () => {
    it.each([443, 8448])('reach port %i inside and carry every byte both ways', async (port) => {
      const service = await serve(`echo-${port}`, port, ECHO);
      const sent = randomBytes(3_000_000);
      const connection = await environment().connect(port);
      const received = buffer(connection);
      connection.end(sent);
      expect(Buffer.compare(await received, sent)).toBe(0);
      await service.stop();
    });

    it('many at once do not mix', async () => {
      const service = await serve('echo-many', 8009, ECHO);
      const all = Array.from({ length: 20 }, async (_, index) => {
        const connection = await environment().connect(8009);
        connection.end(`${index} `.repeat(10_000));
        return await text(connection);
      });
      expect(await Promise.all(all)).toEqual(
        Array.from({ length: 20 }, (_, index) => `${index} `.repeat(10_000)),
      );
      await service.stop();
    });

    it('that end their half first still get the whole answer, however slowly they read', async () => {
      const service = await serve('late', 8010, ANSWER_LATE);
      const connection = await environment().connect(8010);
      connection.end('request');
      let length = 0;
      for await (const chunk of connection) {
        length += (chunk as Buffer).length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(length).toBe(5_000_000);
      await service.stop();
    });

    it('that the other side resets end, with the bytes that were sent and no others', async () => {
      const service = await serve('reset', 8011, RESET);
      const connection = await environment().connect(8011);
      const [first] = (await once(connection, 'data')) as [Buffer];
      connection.write('go');
      expect(first.toString() + (await text(connection))).toBe('abc');
      connection.destroy();
      await service.stop();
    });

    it('to a port where nothing listens are refused', async () => {
      await expect(environment().connect(9)).rejects.toMatchObject({
        code: 'start-failed',
        message: expect.stringContaining('port 9'),
      });
    });

    it('made inside arrive outside, and are answered', async () => {
      const heard: Promise<string>[] = [];
      await environment().listen(9443, (socket: Duplex) => {
        heard.push(
          text(socket).then((said) => {
            socket.end(`you said ${said}`);
            return said;
          }),
        );
      });
      const code = `import socket
c = socket.create_connection(('example.com', 9443)); c.sendall(b'hello'); c.shutdown(socket.SHUT_WR)
print(c.makefile().read())`;
      const { stdout, stderr } = await environment().exec({ argv: [PYTHON, '-c', code] });
      expect(stderr).toBe('');
      expect(stdout).toBe('you said hello\n');
      expect(await Promise.all(heard)).toEqual(['hello']);
    });
  });
}
