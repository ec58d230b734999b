import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connect, dumpDatabase, openSnapshot } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { runCommand } from '../../src/exec/index.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';

/** `localhost` and 127.0.0.1 are one server; its certificate bears the first only. */
const NAME = 'localhost';
const OTHER_NAME = '127.0.0.1';
const ROWS = 1000;
let server: TestServer;
/** As the homeserver connects: by password, and its authority is known. */
let verified: PostgresTarget;
/** A role that pg_hba.conf lets in by certificate only. */
let certified: PostgresTarget;

const file = (name: string) => join(server.directory, name);
const openssl = (...args: string[]) =>
  runCommand(['openssl', ...args], { cwd: server.directory, check: true });
const newKey = (name: string) => [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:P-256',
  '-nodes',
  '-keyout',
  `${name}.key`,
];

async function authority(name: string): Promise<void> {
  await openssl('req', '-x509', ...newKey(name), '-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '2');
}

async function certificate(name: string, subject: string, issuer: string): Promise<void> {
  await openssl('req', ...newKey(name), '-out', `${name}.csr`, '-subj', `/CN=${subject}`);
  await writeFile(file('extensions'), `subjectAltName=DNS:${subject}\n`);
  const signed = [
    '-CA',
    `${issuer}.pem`,
    '-CAkey',
    `${issuer}.key`,
    '-CAcreateserial',
    '-extfile',
    'extensions',
  ];
  await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '2', ...signed);
}

beforeAll(async () => {
  server = await startTestServer();
  await authority('ca');
  await authority('other-ca');
  await certificate('server', NAME, 'ca');
  await certificate('client', 'certified', 'ca');
  await certificate('client-of-other', 'certified', 'other-ca');
  // A key that anybody but its owner may read is refused by PostgreSQL and by libpq; openssl makes it 0600.
  const { uid, gid } = await stat(file('data'));
  await chown(file('server.key'), uid, gid);
  await using session = await connect(server.admin, { applicationName: 'test' });
  await session.query(`CREATE TABLE events AS SELECT n FROM generate_series(1, ${ROWS}) n`);
  await session.query('CREATE ROLE certified LOGIN SUPERUSER');
  await writeFile(
    file('data/pg_hba.conf'),
    'hostssl all certified all cert\nhostssl all all all scram-sha-256\n',
  );
  for (const [name, value] of [
    ['ssl', 'on'],
    ['ssl_cert_file', file('server.pem')],
    ['ssl_key_file', file('server.key')],
    ['ssl_ca_file', file('ca.pem')],
  ])
    await session.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await session.query('SELECT pg_reload_conf()');
  verified = { ...server.admin, host: NAME, sslMode: 'verify-full', sslRootCert: file('ca.pem') };
  certified = { ...verified, user: 'certified', password: undefined };
  // The server reads its settings anew in its own time.
  await vi.waitFor(() => usesTls(verified), 10_000);
}, 60_000);

afterAll(() => server.stop());

async function usesTls(target: PostgresTarget): Promise<boolean> {
  await using session = await connect(target, { applicationName: 'test' });
  const [row] = await session.query<{ ssl: boolean }>(
    'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  );
  return row!.ssl;
}

/** The snapshot is held by a connection that works, so that pg_dump alone has to deal with `target`. */
async function dump(target: PostgresTarget): Promise<Buffer> {
  await using snapshot = await openSnapshot(verified, 'test');
  const { stream } = await dumpDatabase(target, {
    snapshotId: snapshot.snapshotId,
    serverVersion: '15.0',
    part: { name: 'whole', section: undefined, only: undefined, without: [] },
    runId: 'test',
  });
  return await buffer(stream);
}

async function expectToWork(target: PostgresTarget): Promise<void> {
  expect(await usesTls(target)).toBe(true);
  await writeFile(file('one.dump'), await dump(target));
  const { stdout } = await runCommand(['pg_restore', '--list', file('one.dump')], { check: true });
  expect(stdout).toMatch(/TABLE DATA public events/);
}

/** By both, with what to do about it. */
async function expectRefusal(
  target: PostgresTarget,
  says: { readonly session: RegExp; readonly dump: RegExp; readonly hint: RegExp; readonly code?: string },
): Promise<void> {
  const { code = 'database-unreachable' } = says;
  const hints = [expect.stringMatching(says.hint)];
  await expect(usesTls(target)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(says.session),
    hints,
  });
  await expect(dump(target)).rejects.toMatchObject({
    code: 'database-dump-failed',
    message: expect.stringMatching(says.dump),
    hints,
  });
}

describe('a server that takes connections over TLS only', () => {
  it('is read and dumped when authority and name are right', () => expectToWork(verified));

  it('is read and dumped without sslmode, over TLS, because it insists', () =>
    expectToWork({ ...verified, sslMode: undefined, sslRootCert: undefined }));

  it('refuses a connection that must not use TLS, and the hint is to use it', () =>
    expectRefusal(
      { ...verified, sslMode: 'disable' },
      {
        code: 'database-denied',
        session: /no pg_hba\.conf entry .*no encryption/,
        dump: /no pg_hba\.conf entry .*no encryption/,
        hint: /sslmode: verify-full/,
      },
    ));

  it('is refused when another authority is trusted', () =>
    expectRefusal(
      { ...verified, sslRootCert: file('other-ca.pem') },
      { session: /certificate/, dump: /certificate verify failed/, hint: /sslrootcert/ },
    ));

  it('is refused under a name that its certificate does not bear, unless only the authority matters', async () => {
    const elsewhere = { ...verified, host: OTHER_NAME };
    await expectRefusal(elsewhere, {
      session: /does not match certificate/,
      dump: /does not match host name/,
      hint: /name that the certificate/,
    });
    await expectToWork({ ...elsewhere, sslMode: 'verify-ca' });
  });
});

describe('a role that needs a client certificate', () => {
  const pair = (name: string) => ({ sslCert: file(`${name}.pem`), sslKey: file(`${name}.key`) });

  it('is let in with one, and no password', () => expectToWork({ ...certified, ...pair('client') }));

  it.each([
    ['with verified TLS', () => certified],
    ['without sslmode', () => ({ ...certified, sslMode: undefined })],
  ])('is refused without one %s', (_how, target) =>
    expectRefusal(target(), {
      code: 'database-denied',
      session: /valid client certificate/,
      dump: /valid client certificate/,
      hint: /sslcert and sslkey/,
    }),
  );

  it('is refused with one of another authority', () =>
    expectRefusal(
      { ...certified, ...pair('client-of-other') },
      { session: /unknown ca/, dump: /unknown ca/, hint: /sslcert and sslkey/ },
    ));

  it('is told when the file of the certificate is not there', async () => {
    await expect(usesTls({ ...certified, ...pair('nowhere') })).rejects.toMatchObject({
      code: 'file-unreadable',
      message: expect.stringContaining('sslcert'),
    });
  });
});
