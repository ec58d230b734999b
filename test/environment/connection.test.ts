import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openConnection } from '../../src/environment/process/connection.ts';

let directory: string;
let gate: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-gate-'));
  gate = join(directory, 'gate.sock');
});

afterEach(async () => {
  server?.close();
  server = undefined;
  await rm(directory, { recursive: true });
});

async function answering(answer: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => socket.once('data', () => answer(socket)));
  await new Promise<void>((resolve) => server?.listen(gate, resolve));
}

describe('a connection through the gate', () => {
  it('keeps the bytes that come in one piece with the answer, and those that come before somebody listens', async () => {
    await answering((socket) => socket.write('OK\nfirst ', () => socket.end('second')));
    const connection = await openConnection(gate, 443);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await text(connection)).toBe('first second');
    connection.destroy();
  });

  it('understands an answer that comes byte by byte', async () => {
    await answering((socket) => {
      for (const [index, byte] of [...'OK\nx'].entries()) setTimeout(() => socket.write(byte), index * 5);
      setTimeout(() => socket.end(), 30);
    });
    const connection = await openConnection(gate, 443);
    expect(await text(connection)).toBe('x');
    connection.destroy();
  });

  it.each([
    ['refuses', (socket: Socket) => socket.end('NO connect ECONNREFUSED\n'), 'ECONNREFUSED'],
    ['ends in the middle of its answer', (socket: Socket) => socket.end('O'), 'closed'],
    ['ends without a word', (socket: Socket) => socket.end(), 'closed'],
    ['breaks off', (socket: Socket) => socket.destroy(), 'closed'],
    ['says something else', (socket: Socket) => socket.write('x'.repeat(300)), 'port 443'],
  ])('fails when the gate %s', async (_what, answer, message) => {
    await answering(answer);
    await expect(openConnection(gate, 443)).rejects.toMatchObject({
      code: 'start-failed',
      message: expect.stringContaining(message),
    });
  });

  it('fails when there is no gate', async () => {
    await expect(openConnection(gate, 443)).rejects.toMatchObject({ code: 'start-failed' });
  });
});
