import { LifeboatError } from '../../core/errors.ts';
import { fileSystem, StatusError } from './operations.ts';
import { STATUS } from './protocol.ts';
import type { Session } from './session.ts';
import { notSftp } from './ssh-errors.ts';
import { ProtocolError } from './wire.ts';

export interface FailedOperation {
  readonly verb: 'read' | 'write' | 'delete';
  /** Of the store, for messages. */
  readonly location: string;
  readonly path: string;
  /** A folder of the same file system that is there. */
  readonly root: string;
  /** Bytes that were to be written. */
  readonly neededBytes?: number;
}

/**
 * What a server said, as an error of the port. SFTP 3 says `failure` for a full disk, a read-only one and everything else, so
 * the file system is asked.
 */
export async function fileError(
  session: Session,
  error: unknown,
  operation: FailedOperation,
): Promise<unknown> {
  const { verb, location, path } = operation;
  if (error instanceof ProtocolError) return notSftp(location, error);
  if (!(error instanceof StatusError)) return error;
  const options = { cause: error, context: { path } };
  if (error.status === STATUS.noConnection || error.status === STATUS.connectionLost)
    return new LifeboatError('store-unreachable', `${location}: ${error.message}`, options);
  const code = verb === 'read' ? 'file-unreadable' : 'file-unwritable';
  const what = `${location}: cannot ${verb} ${path}`;
  if (error.status === STATUS.permissionDenied)
    return new LifeboatError(verb === 'delete' ? 'store-denied' : code, `${what}: permission denied`, {
      ...options,
      hint: `Let the account on the server own ${operation.root}, and allow it to ${verb} there.`,
    });
  const state = error.status === STATUS.failure && verb !== 'read' ? await diskState(session, operation) : '';
  if (state === 'full')
    return new LifeboatError('disk-full', `${what}: no space left`, {
      ...options,
      hint: 'Free space on the server or raise the limit, and run the command again.',
    });
  return new LifeboatError(code, `${what}: ${state === '' ? error.message : state}`, options);
}

async function diskState(
  session: Session,
  { root, neededBytes = 0 }: FailedOperation,
): Promise<'full' | 'file system is read-only' | ''> {
  const state = await fileSystem(session, root).catch(() => undefined);
  if (state === undefined) return '';
  if (state.readOnly) return 'file system is read-only';
  // File systems that do not count files say 0 of 0.
  return state.freeBytes < BigInt(neededBytes) || state.freeBytes === 0n ? 'full' : '';
}
