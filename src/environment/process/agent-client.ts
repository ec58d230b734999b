import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { LifeboatError } from '../../core/errors.ts';
import { startService, type Service } from '../../exec/index.ts';
import type { Answer, Event, Request, StartRequest } from './protocol.ts';

/** Our end of the conversation with the agent. */
export interface Agent {
  /** Errors: what the agent answered, as `drill-impossible`. */
  ask<Result>(request: Request): Promise<Result>;
  /** Starts a service; `ended` resolves when it has ended, or everything has. Errors: `internal` when the name is taken. */
  start(service: StartRequest): Promise<{ readonly ended: Promise<Exit> }>;
  /** Ends the sandbox and everything in it; idempotent. */
  end(): Promise<void>;
}

const GRACE_MS = 5000;
/** A sandbox is made in tens of milliseconds; a machine that swaps may take seconds. */
const READY_TIMEOUT_MS = 60_000;

interface Exit {
  readonly exitCode: number;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Errors: `drill-impossible` with what bubblewrap or the agent said. */
export async function startAgent(
  argv: readonly string[],
  logFile: string,
  hints: () => Promise<string[]>,
): Promise<Agent> {
  const service = await startService(argv, { stdio: 'pipe', logFile });
  const waiting = new Map<number, Waiting>();
  const exits = new Map<string, (exit: Exit) => void>();
  let lastId = 0;
  let gone: Error | undefined;

  const ready = new Promise<void>((resolve, reject) => {
    const receive = (line: string) => {
      const message = JSON.parse(line) as Answer | Event;
      if (!('event' in message)) settle(waiting, message);
      else if (message.event === 'ready') resolve();
      else {
        exits.get(message.name)?.({ exitCode: message.exitCode });
        exits.delete(message.name);
      }
    };
    if (service.stdout !== null) createInterface({ input: service.stdout }).on('line', receive);
    void service.ended.then(async ({ exitCode }) => {
      const said = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join(' / ');
      gone = new LifeboatError(
        'drill-impossible',
        `the sandbox ended (status ${exitCode}): ${said || 'no message'}`,
        {
          hint: [
            ...(await hints()),
            'Run `lifeboat doctor`: it really makes a sandbox, and says what it needs.',
          ],
        },
      );
      for (const { reject: fail } of waiting.values()) fail(gone);
      for (const exit of exits.values()) exit({ exitCode: -1 });
      reject(gone);
    });
  });
  // EPIPE says only that the agent is gone; `ended` says why.
  service.stdin?.on('error', () => undefined);
  const timer = setTimeout(() => void service.stop(GRACE_MS), READY_TIMEOUT_MS);
  // When it is ended for being late, `ended` rejects with what was said until then.
  await ready.finally(() => clearTimeout(timer));

  const ask = <Result>(request: Request) =>
    new Promise<Result>((resolve, reject) => {
      if (gone !== undefined) return reject(gone);
      lastId += 1;
      waiting.set(lastId, { resolve: resolve as Waiting['resolve'], reject });
      service.stdin?.write(`${JSON.stringify({ id: lastId, ...request })}\n`);
    });

  return {
    ask,
    start: async (request) => {
      const { name } = request;
      if (exits.has(name)) throw new LifeboatError('internal', `a service named ${name} is running already`);
      // Before it is started: it may end in the same breath.
      const ended = new Promise<Exit>((resolve) => exits.set(name, resolve));
      await ask(request).catch((error: unknown) => {
        exits.delete(name);
        throw error;
      });
      return { ended };
    },
    end: () => endService(service),
  };
}

function settle(waiting: Map<number, Waiting>, message: Answer): void {
  const call = waiting.get(message.id);
  waiting.delete(message.id);
  if ('error' in message)
    call?.reject(new LifeboatError('drill-impossible', `inside the sandbox: ${message.error}`));
  else call?.resolve(message.result);
}

/** The agent ends its children when its input closes; bubblewrap and the kernel end whatever is left. */
async function endService(service: Service): Promise<void> {
  service.stdin?.end();
  const timer = setTimeout(() => void service.stop(GRACE_MS), GRACE_MS);
  await service.ended;
  clearTimeout(timer);
}
