import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { openSync } from 'node:fs';
import { connect } from 'node:net';
import type { EscapeTarget } from '../protocol.ts';
import { wayOut } from './network.ts';

/** A kernel that drops packets instead of refusing them would let us wait; in an empty namespace the answer is immediate. */
const PATIENCE_MS = 3000;

/** Really tries; an attempt that succeeds is the failure. */
export async function attempt(
  target: EscapeTarget,
): Promise<{ target: string; escaped: boolean; observed: string }> {
  const title =
    target.how === 'tcp' || target.how === 'udp'
      ? `${target.how.toUpperCase()} ${bracketed(target.to)}:${target.port}`
      : `${target.how} ${target.to}`;
  try {
    const observed = await withPatience(tryOnce(target));
    return { target: title, escaped: true, observed };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { target: title, escaped: false, observed: code ?? message };
  }
}

async function tryOnce({ how, to, port }: EscapeTarget): Promise<string> {
  switch (how) {
    case 'tcp':
      return dial({ host: to, port });
    case 'socket':
      return dial({ path: to });
    case 'udp':
      return send(to, port);
    case 'dns':
      return (await lookup(to)).address;
    case 'route':
      return wayOut();
    case 'file':
      openSync(to, 'r');
      return 'opened';
  }
}

function dial(where: { host: string; port: number } | { path: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(where);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}

function send(to: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
    const finish = (error: Error | null) => {
      socket.close();
      if (error === null) resolve('sent');
      else reject(error);
    };
    socket.once('error', finish);
    socket.send('lifeboat', port, to, finish);
  });
}

function withPatience(trial: Promise<string>): Promise<string> {
  const silence = new Promise<string>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();
  });
  return Promise.race([trial, silence]);
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
