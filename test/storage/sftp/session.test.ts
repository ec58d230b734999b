import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { REQUEST, RESPONSE, STATUS } from '../../../src/storage/sftp/protocol.ts';
import { openSession } from '../../../src/storage/sftp/session.ts';
import { string, uint32 } from '../../../src/storage/sftp/wire.ts';

/** A session, and the server's end of its streams. */
function open() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const busy: boolean[] = [];
  const broken: string[] = [];
  const opening = openSession({ input, output, onBusy: (each) => busy.push(each) }, (error) => {
    broken.push(error.message);
    opening.fail(error);
  });
  const answer = (type: number, ...parts: readonly Uint8Array[]): void => {
    input.write(string(Buffer.concat([Buffer.of(type), ...parts])));
  };
  return { ...opening, input, output, busy, broken, answer };
}

const greet = async (server: ReturnType<typeof open>) => {
  server.answer(RESPONSE.version, uint32(3), string('fsync@openssh.com'), string('1'));
  return await server.opened;
};
const ok = (id: number): Uint8Array[] => [uint32(id), uint32(STATUS.ok), string(''), string('')];

describe('an SFTP session', () => {
  it('greets with version 3 and learns what the server can', async () => {
    const server = open();
    await once(server.output, 'readable');
    expect(server.output.read()).toEqual(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]));
    const session = await greet(server);
    expect([...session.extensions]).toEqual([['fsync@openssh.com', '1']]);
  });

  it('gives each request its own answer, in whatever order they come', async () => {
    const server = open();
    const session = await greet(server);
    const requests = ['a', 'b', 'c'].map((path) => session.request(REQUEST.remove, string(path)));
    for (const id of [2, 0, 1]) server.answer(RESPONSE.handle, uint32(id), string(`handle ${id}`));
    const handles = (await Promise.all(requests)).map(
      (each) => each.kind === 'handle' && String(each.handle),
    );
    expect(handles).toEqual(['handle 0', 'handle 1', 'handle 2']);
    expect(server.busy).toEqual([true, false]);
  });

  it('fails everything in flight and to come when the connection is gone', async () => {
    const server = open();
    const session = await greet(server);
    const requests = [1, 2].map(() => session.request(REQUEST.remove, string('x')));
    server.fail(new Error('gone'));
    server.fail(new Error('later'));
    for (const each of requests) await expect(each).rejects.toThrow('gone');
    await expect(session.request(REQUEST.remove, string('x'))).rejects.toThrow('gone');
    expect(server.busy).toEqual([true, false]);
  });

  it('fails before the greeting too', async () => {
    const server = open();
    server.fail(new Error('gone'));
    await expect(server.opened).rejects.toThrow('gone');
  });

  it.each([
    ['another version', [RESPONSE.version, uint32(6)], 'it speaks version 6 of SFTP, not 3'],
    ['an answer before the version', [RESPONSE.status, ...ok(0)], 'packet of type 101 before the version'],
  ] as const)('refuses %s', async (_, [type, ...parts], message) => {
    const server = open();
    server.answer(type, ...parts);
    await expect(server.opened).rejects.toThrow(message);
  });

  it('refuses an answer that nothing has been asked for, also the second one to a request', async () => {
    const server = open();
    const session = await greet(server);
    const request = session.request(REQUEST.remove, string('x'));
    server.answer(RESPONSE.status, ...ok(0));
    await request;
    const next = session.request(REQUEST.remove, string('y'));
    server.answer(RESPONSE.status, ...ok(0));
    await expect(next).rejects.toThrow('answer 0, which nothing has been asked for');
    expect(server.broken).toHaveLength(1);
  });
});
