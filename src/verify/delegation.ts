import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { DrillCa } from '../environment/ca.ts';
import type { Check } from '../restore/step.ts';

const HTTPS_PORT = 443;
const WELL_KNOWN = '/.well-known/matrix/server';

export interface Delegation {
  /** The restored server's name, which has no port. */
  readonly host: string;
  readonly federationPort: number;
}

/**
 * Inside the sealed environment https://<name>/.well-known/matrix/server delegates to the restored server, as the real web
 * server of that name does to the real one (specification, server-server API, "Server discovery"). Other servers that are in
 * there find it by name alone.
 */
export async function serveDelegation(
  { host, federationPort }: Delegation,
  ca: DrillCa,
  listen: (port: number, onConnection: (socket: Duplex) => void) => Promise<void>,
): Promise<() => Check> {
  const { certificatePem, keyPem } = await ca.issue([host]);
  const answer = JSON.stringify({ 'm.server': `${host}:${federationPort}` });
  let asked = 0;
  const server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    const known = request.url === WELL_KNOWN;
    if (known) asked += 1;
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end(known ? answer : '{}');
  });
  await listen(HTTPS_PORT, (socket) => {
    server.emit('connection', socket);
    socket.resume();
  });
  return () => ({
    id: 'federation.delegation',
    title: `other servers find ${host} by its name`,
    // Otherwise the other server was here by another way, and its name leads nowhere.
    result: asked > 0 ? 'pass' : 'fail',
    expected: 'asked at least once',
    observed: `.well-known was asked ${asked} times`,
  });
}
