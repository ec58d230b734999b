import { connect, type Socket } from 'node:net';
import { LifeboatError } from '../../core/errors.ts';

/** Answers are `OK` or `NO <reason>`, and a line feed. */
const LONGEST_ANSWER = 200;

/** Through the gate to 127.0.0.1:port inside. Errors: `start-failed` when nothing listens there. */
export function openConnection(gate: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: gate, allowHalfOpen: true });
    let head = Buffer.alloc(0);
    const fail = (reason: string) => {
      socket.destroy();
      reject(new LifeboatError('start-failed', `nothing answers on port ${port} inside: ${reason}`));
    };
    const onError = (error: Error) => fail(error.message);
    const onClose = () => fail('the connection was closed');
    // Read by `readable` and not by `data`: a socket that was switched to flowing would lose bytes before its user listens.
    const onReadable = () => {
      head = Buffer.concat([head, (socket.read() as Buffer | null) ?? Buffer.alloc(0)]);
      const end = head.indexOf(10);
      if (end < 0 && head.length < LONGEST_ANSWER) return;
      const answer = head.subarray(0, Math.max(end, 0)).toString();
      if (answer !== 'OK') return fail(answer.replace(/^NO /, ''));
      socket.off('readable', onReadable).off('error', onError).off('close', onClose).off('end', onClose);
      const rest = head.subarray(end + 1);
      if (rest.length > 0) socket.unshift(rest);
      resolve(socket);
    };
    // `end` too: with allowHalfOpen an agent that dies in the middle closes nothing on our side.
    socket.on('error', onError).on('close', onClose).on('end', onClose).on('readable', onReadable);
    socket.once('connect', () => socket.write(`CONNECT ${port}\n`));
  });
}
