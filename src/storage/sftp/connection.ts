import { LifeboatError } from '../../core/errors.ts';
import { sshEnvironment, startConversation } from '../../exec/index.ts';
import { openSession, type Session } from './session.ts';
import { DEFAULT_CONNECT_TIMEOUT_MS, locationOf, sshCommand, type SftpStoreOptions } from './ssh-command.ts';
import { connectionError, notSftp } from './ssh-errors.ts';

/** A session that is there when it is needed: ssh starts with the first use, ends when idle, and starts again. */
export interface Connection {
  /**
   * Runs with a session; it stays open meanwhile. A connection that breaks fails what is under way and is made anew for the next.
   * Errors: `store-unreachable`, `store-denied`, `command-missing`, and those of the operation.
   */
  use<T>(operation: (session: Session) => Promise<T>): Promise<T>;
  /** The same for as long as a listing is read. */
  useWhile<T>(operation: (session: Session) => AsyncIterable<T>): AsyncGenerator<T>;
}

interface Link {
  readonly opened: Promise<Session>;
  stop(): void;
}

const IDLE_MS = 10_000;

/** Errors: `usage`. */
export function createConnection(options: SftpStoreOptions, idleMs = IDLE_MS): Connection {
  const argv = sshCommand(options);
  let link: Link | undefined;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;

  const acquire = async (): Promise<Session> => {
    users += 1;
    clearTimeout(idle);
    link ??= startLink(argv, options, (ended) => {
      if (link === ended) link = undefined;
    });
    return await link.opened;
  };
  const release = (): void => {
    users -= 1;
    if (users > 0) return;
    idle = setTimeout(() => {
      link?.stop();
      link = undefined;
    }, idleMs).unref();
  };

  return {
    use: async (operation) => {
      try {
        return await operation(await acquire());
      } finally {
        release();
      }
    },
    useWhile: async function* (operation) {
      try {
        yield* operation(await acquire());
      } finally {
        release();
      }
    },
  };
}

/** One ssh process. `onEnd` is told once, before anything that waits for it hears of the failure. */
function startLink(argv: readonly string[], options: SftpStoreOptions, onEnd: (link: Link) => void): Link {
  const location = locationOf(options);
  const stopping = new AbortController();
  const link: Link = { opened: open(), stop: () => stopping.abort() };
  link.opened.catch(() => onEnd(link));
  return link;

  async function open(): Promise<Session> {
    const timeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    const ssh = await startConversation(argv, { env: sshEnvironment() });
    const session = openSession(
      { input: ssh.stdout, output: ssh.stdin, onBusy: (busy) => ssh.keepAlive(busy) },
      (error) => end(notSftp(location, error)),
    );
    const end = (error: Error): void => {
      onEnd(link);
      session.fail(error);
      ssh.stop();
    };
    // A server that has closed its side has nothing more to say; ssh ends, and tells why.
    ssh.stdout.once('close', () => ssh.stop());
    void ssh.ended.then(({ stderr }) => end(connectionError(location, stderr)));
    stopping.signal.addEventListener('abort', () => end(connectionError(location, '')));
    const timer = setTimeout(
      () => end(new LifeboatError('store-unreachable', `${location} did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await session.opened;
    } finally {
      clearTimeout(timer);
      ssh.keepAlive(false);
    }
  }
}
