import { createServer } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { createDrillCa } from '../../src/environment/ca.ts';
import { serveDelegation } from '../../src/verify/delegation.ts';

it('a delegation that nobody asked for fails, and one that was asked for passes', async () => {
  const ca = await createDrillCa();
  let port = 0;
  const check = await serveDelegation(
    { host: 'example.org', federationPort: 8448 },
    ca,
    async (_443, onConnection) => {
      const server = createServer(onConnection).listen(0, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as { port: number }).port;
      onTestFinished(() => void server.close());
    },
  );
  expect(check().result).toBe('fail');
  const asking = request({
    port,
    host: '127.0.0.1',
    path: '/.well-known/matrix/server',
    servername: 'example.org',
    ca: ca.certificatePem,
    agent: false,
  }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  response.resume();
  expect(check()).toMatchObject({ result: 'pass', observed: '.well-known was asked 1 times' });
});
