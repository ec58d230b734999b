import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DatabaseWay } from '../../config/index.ts';
import { messageOf } from '../../core/errors.ts';
import type { PostgresTarget } from '../port.ts';
import { RelayedConnection } from './relay.ts';

/** PostgreSQL's own name for a socket is made of the port. */
const PORT = 5432;

export interface Forward extends AsyncDisposable {
  /** PGHOST and PGPORT for programs of this machine. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A Unix socket in a private directory whose every connection goes over the way: for client programs of this machine. Only who may
 * enter the directory can connect, unlike with a port on loopback.
 */
export async function openForward(
  way: DatabaseWay,
  target: Pick<PostgresTarget, 'host' | 'port'>,
  directory: string,
): Promise<Forward> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    pass(socket, new RelayedConnection(way, target));
  });
  server.listen(join(directory, `.s.PGSQL.${PORT}`));
  await once(server, 'listening');
  return {
    // What libpq might take from elsewhere; it has no TLS on a Unix socket.
    env: { PGHOST: directory, PGPORT: String(PORT) },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(socket: Socket, connection: RelayedConnection): void {
  let heard = false;
  connection.once('data', () => (heard = true));
  connection.on('error', (error) => {
    // Said in the protocol, so that the client program says it too.
    if (!heard) socket.end(refusal(messageOf(error)));
    else socket.destroy();
  });
  connection.on('close', () => {
    if (!socket.writableEnded) socket.end();
  });
  socket.on('error', () => undefined).on('close', () => connection.destroy());
  connection.connect().once('connect', () => {
    connection.pipe(socket);
    socket.pipe(connection);
  });
}

/** ErrorResponse of the frontend/backend protocol 3.0; 08006 is connection_failure. */
function refusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08006\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(fields.length + 4);
  return Buffer.concat([Buffer.from('E'), length, fields]);
}
