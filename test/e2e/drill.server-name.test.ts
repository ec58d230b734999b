import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { connect as connectTcp } from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { drill } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import { createCanary } from '../../src/verify/probe/canary.ts';
import { PYTHON, startLab } from './backed-up-world.ts';

it('a server with a real name, delegated by .well-known, is found by that name inside the drill and nowhere else', async () => {
  const serverName = `lifeboat-${randomBytes(4).toString('hex')}.example.com`;
  await using lab = await startLab();
  const home = await lab.startServer('home', { serverName });
  const person = await createCanary({
    connect: async () => connectTcp(home.clientPort, '127.0.0.1'),
    registrationSecret: home.registrationSecret,
    timeoutMs: 20_000,
  });
  await person.send(await person.createRoom('11'), 'hello');
  const config = await lab.configure(home);
  const { outcome, repository } = await lab.backUp(config);
  const settings = {
    peer: true,
    timeoutMs: 300_000,
    workDirectory: lab.directory,
    postgresDirectory: undefined,
  };
  const source = await snapshotSource(repository, outcome.commit.entry.id);
  const report = await drill({
    source,
    program: PYTHON,
    settings,
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
  });
  const checks = report.steps.flatMap((step) => step.checks);
  expect(checks.filter(({ result }) => result === 'fail')).toEqual([]);
  expect(report.result).toBe('PASS');
  expect(checks.find(({ id }) => id === 'federation.tls-certificate')!.observed).toContain(serverName);
  expect(checks.find(({ id }) => id === 'federation.delegation')!.observed).toMatch(/asked [1-9]/);
  await expect(lookup(serverName)).rejects.toThrow();
}, 180_000);
