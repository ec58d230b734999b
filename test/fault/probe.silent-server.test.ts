import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Check } from '../../src/restore/step.ts';
import { runFederationProbe, type FederationProbeOptions } from '../../src/verify/probe/index.ts';

let certificate: FederationProbeOptions['certificate'];
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-silent-'));
  const argv = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=probe',
    '-keyout',
    'key',
    '-out',
    'cert',
  ];
  await promisify(execFile)('openssl', argv, { cwd: directory });
  certificate = {
    certificatePem: await readFile(join(directory, 'cert'), 'utf8'),
    keyPem: await readFile(join(directory, 'key'), 'utf8'),
  };
});

afterAll(async () => await rm(directory, { recursive: true }));

async function probeOf(connection: () => Promise<Duplex>): Promise<Check[]> {
  const checks: Check[] = [];
  const options: FederationProbeOptions = {
    serverName: 'example.com',
    publicKeys: [],
    connectFederation: connection,
    connectClient: connection,
    listen: async () => {},
    probeName: 'probe.invalid:1',
    certificate,
    caPem: undefined,
    registrationSecret: new Secret('a registration secret'),
    samples: {
      users: ['@a:example.com'],
      aliases: [],
      media: [{ mediaId: 'x', sha256: null, sizeBytes: 1 }],
    },
    timeoutMs: 30,
  };
  for await (const check of runFederationProbe(options)) checks.push(check);
  return checks;
}

const outcome = (checks: Check[]) => new Set(checks.map(({ result }) => result));

describe('the probe of a homeserver that does not work', () => {
  it('ends with failures and skips, and closes its connections, when nothing ever answers', async () => {
    const opened: Duplex[] = [];
    const checks = await probeOf(async () => {
      const silent = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      opened.push(silent);
      return silent;
    });
    expect(outcome(checks)).toEqual(new Set(['fail', 'skip']));
    expect(checks.find(({ id }) => id === 'federation.version')?.observed).toBe(
      'GET /_matrix/federation/v1/version: no answer within 30 ms',
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(opened.filter((socket) => !socket.destroyed)).toEqual([]);
  });

  it('ends when a connection is never made', async () => {
    expect(outcome(await probeOf(() => new Promise(() => {})))).toEqual(new Set(['fail', 'skip']));
  });

  it('ends when connections are refused, closed at once, or speak something else', async () => {
    const refused = await probeOf(async () => {
      throw new Error('connect ECONNREFUSED 127.0.0.1:8448');
    });
    expect(refused.find(({ id }) => id === 'federation.version')?.observed).toContain('ECONNREFUSED');
    expect(outcome(refused)).toEqual(new Set(['fail', 'skip']));
    const closed = async () => new PassThrough().end() as Duplex;
    expect(outcome(await probeOf(closed))).toEqual(new Set(['fail', 'skip']));
    const garbage = async () => {
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      socket.push('SSH-2.0-OpenSSH_9.2\r\n');
      return socket;
    };
    expect(outcome(await probeOf(garbage))).toEqual(new Set(['fail', 'skip']));
  });
});
