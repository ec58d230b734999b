import { connect, createServer, type Server, type Socket } from 'node:net';

/** `CONNECT 65535` and a line feed. */
const LONGEST_REQUEST = 16;

/** Connections from outside to a port inside: `CONNECT <port>\n`, answered by `OK\n` or `NO <reason>\n`, then bytes both ways. */
export function openGate(path: string): Promise<void> {
  return listening(
    createServer({ allowHalfOpen: true }, (outer) => receiveRequest(outer)),
    { path },
  );
}

/** Connections made inside to 127.0.0.1:port go to a Unix socket on which lifeboat listens. */
export function listenInside(port: number, socket: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (inner) =>
    join(inner, connect({ path: socket, allowHalfOpen: true })),
  );
  return listening(server, { port, host: '127.0.0.1' });
}

function receiveRequest(outer: Socket): void {
  let head = Buffer.alloc(0);
  outer.on('error', () => outer.destroy());
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(10);
    if (end < 0) {
      if (head.length > LONGEST_REQUEST) outer.destroy();
      return;
    }
    outer.off('data', onData).pause();
    const rest = head.subarray(end + 1);
    if (rest.length > 0) outer.unshift(rest);
    const port = Number(/^CONNECT (\d+)$/.exec(head.subarray(0, end).toString())?.[1] ?? 0);
    const inner = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const refuse = (error: Error) => outer.end(`NO ${error.message}\n`);
    inner.once('error', refuse);
    inner.once('connect', () => {
      // From here on every byte belongs to the two ends.
      inner.off('error', refuse);
      outer.write('OK\n');
      join(outer, inner);
    });
  };
  outer.on('data', onData);
}

/** Each side may end its half before the other; only one that broke off takes the other along, or bytes on their way would be lost. */
function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => {
      if (!from.readableEnded || !from.writableFinished) to.destroy();
    });
    from.setNoDelay(true);
    from.pipe(to);
  }
}

function listening(server: Server, where: { path: string } | { port: number; host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => resolve());
  });
}
