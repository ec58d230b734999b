/**
 * The first process inside the sandbox. It starts and ends the others, lets connections through the gate, and ends all when
 * lifeboat goes away. It is bound into the sandbox with its folder and protocol.ts, and imports nothing else.
 */
import { createInterface } from 'node:readline';
import type { AgentSettings, Answer, Event, Request } from '../protocol.ts';
import { startNameServer } from './dns.ts';
import { attempt } from './escape.ts';
import { openGate, listenInside } from './gate.ts';
import { execute, start, stop, stopAll } from './processes.ts';
import { attemptsWithoutRoute, outsidePackets } from './network.ts';

const settings = JSON.parse(process.argv[2] ?? '{}') as AgentSettings;
const say = (line: Answer | Event) => process.stdout.write(`${JSON.stringify(line)}\n`);
const names = startNameServer(settings);

async function answer(request: Request): Promise<unknown> {
  switch (request.op) {
    case 'exec':
      return execute(request, request.timeoutMs);
    case 'start':
      return start(request.name, request, request.log, (exitCode) =>
        say({ event: 'exit', name: request.name, exitCode }),
      );
    case 'stop':
      return stop(request.name, request.graceMs);
    case 'listen':
      return listenInside(request.port, request.socket);
    case 'escape':
      return Promise.all(request.targets.map(attempt));
    case 'packets':
      return outsidePackets();
    case 'attempts':
      return attemptsWithoutRoute();
    case 'lookups':
      return names.strays();
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, ...request } = JSON.parse(line) as Request & { id: number };
  answer(request).then(
    (result) => say({ id, result: result ?? null }),
    (error: unknown) => say({ id, error: error instanceof Error ? error.message : String(error) }),
  );
});
lines.on('close', () => {
  void stopAll().finally(() => process.exit(0));
});

await Promise.all([openGate(settings.gate), names.ready]);
say({ event: 'ready' });
