import { Duplex } from 'node:stream';
import type { DatabaseWay } from '../../config/index.ts';
import { startConversation, type Conversation } from '../../exec/index.ts';
import type { PostgresTarget } from '../port.ts';
import { farCommand, portCommand, wayEnvironment } from './commands.ts';
import { relayArgv } from './far-scripts.ts';
import { wayError } from './way-error.ts';

/** The command whose standard input and output are a connection with PostgreSQL. Pure. Errors: `usage`. */
export function relayCommand(
  way: DatabaseWay,
  { host, port }: Pick<PostgresTarget, 'host' | 'port'>,
): string[] {
  const { ssh, container } = way;
  if (ssh !== undefined && container === undefined && host !== '' && !host.startsWith('/'))
    return portCommand(ssh, host, port);
  return farCommand(way, relayArgv(host, port));
}

/**
 * One connection with PostgreSQL over a way, for the driver: it calls what a socket has. Fails with the way's own error when the
 * command ends before the server has said anything. Errors: those of `wayError`, `command-missing`.
 */
export class RelayedConnection extends Duplex {
  readonly #way: DatabaseWay;
  readonly #argv: readonly string[];
  #command: Conversation | undefined;
  #heard = false;

  constructor(way: DatabaseWay, target: Pick<PostgresTarget, 'host' | 'port'>) {
    super({ allowHalfOpen: false });
    this.#way = way;
    this.#argv = relayCommand(way, target);
  }

  /** `connect` is emitted when the command runs; that it leads somewhere shows when the server answers. */
  connect(): this {
    void this.#start().catch((error: Error) => this.destroy(error));
    return this;
  }

  async #start(): Promise<void> {
    const command = await startConversation(this.#argv, { env: wayEnvironment() });
    this.#command = command;
    if (this.destroyed) {
      command.stop();
      return;
    }
    command.stdout.on('data', (chunk: Buffer) => {
      this.#heard = true;
      if (!this.push(chunk)) command.stdout.pause();
    });
    // Its end comes after all that it wrote, which the end of the process does not.
    command.stdout.once('end', () => {
      if (this.#heard || this.destroyed) this.push(null);
      else void command.ended.then(({ stderr }) => this.destroy(wayError(this.#way, stderr)));
    });
    this.emit('connect');
  }

  override _read(): void {
    this.#command?.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const stdin = this.#command?.stdin;
    // A command that has ended takes nothing; that it has is told by its end.
    if (stdin === undefined || stdin.destroyed) done();
    else stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#command?.stop();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#command?.stop();
    done(error);
  }

  // What a socket has and a driver calls; a pipe is neither delayed nor kept alive.
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#command?.keepAlive(true);
    return this;
  }

  unref(): this {
    this.#command?.keepAlive(false);
    return this;
  }
}
