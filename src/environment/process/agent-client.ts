import { createInterface } from 'node:readline';
import { LifeboatError } from '../../core/errors.ts';
import { startService, type Service } from '../../exec/index.ts';
import type { Answer, Event, Request } from './protocol.ts';

/** Our end of the conversation with the agent. */
export interface Agent {
  /** Errors: what the agent answered, as `drill-impossible`. */
  ask<Result>(request: Request): Promise<Result>;
  /** Resolves when the named service has ended. */
  exitOf(name: string): Promise<{ readonly exitCode: number }>;
  /** Ends the sandbox and everything in it; idempotent. */
  end(): Promise<void>;
}

const GRACE_MS = 5000;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Errors: `drill-impossible` with what bubblewrap or the agent said. */
export async function startAgent(argv: readonly string[], logFile: string, readLog: () => Promise<string>): Promise<Agent> {
  const service = await startService(argv, { stdio: 'pipe', logFile });
  const waiting = new Map<number, Waiting>();
  const exits = new Map<string, (exit: { exitCode: number }) => void>();
  let lastId = 0;
  let gone: Error | undefined;

  const ready = new Promise<void>((resolve, reject) => {
    const receive = (line: string) => {
      const message = JSON.parse(line) as Answer | Event;
      if (!('event' in message)) settle(waiting, message);
      else if (message.event === 'ready') resolve();
      else exits.get(message.name)?.({ exitCode: message.exitCode });
    };
    if (service.stdout !== null) createInterface({ input: service.stdout }).on('line', receive);
    void service.ended.then(async ({ exitCode }) => {
      gone = new LifeboatError('drill-impossible', `the sandbox ended (status ${exitCode}): ${(await readLog()).trim() || 'no message'}`, {
        hint: 'Run `lifeboat doctor`: it says what the sandbox needs.',
      });
      for (const { reject: fail } of waiting.values()) fail(gone);
      for (const exit of exits.values()) exit({ exitCode: -1 });
      reject(gone);
    });
  });
  // EPIPE says only that the agent is gone; `ended` says why.
  service.stdin?.on('error', () => undefined);
  await ready;

  return {
    ask: <Result>(request: Request) =>
      new Promise<Result>((resolve, reject) => {
        if (gone !== undefined) return reject(gone);
        lastId += 1;
        waiting.set(lastId, { resolve: resolve as Waiting['resolve'], reject });
        service.stdin?.write(`${JSON.stringify({ id: lastId, ...request })}\n`);
      }),
    exitOf: (name) => new Promise((resolve) => exits.set(name, resolve)),
    end: () => endService(service),
  };
}

function settle(waiting: Map<number, Waiting>, message: Answer): void {
  const call = waiting.get(message.id);
  waiting.delete(message.id);
  if ('error' in message) call?.reject(new LifeboatError('drill-impossible', `inside the sandbox: ${message.error}`));
  else call?.resolve(message.result);
}

/** The agent ends its children when its input closes; bubblewrap and the kernel end whatever is left. */
async function endService(service: Service): Promise<void> {
  service.stdin?.end();
  const timer = setTimeout(() => void service.stop(GRACE_MS), GRACE_MS);
  await service.ended;
  clearTimeout(timer);
}
