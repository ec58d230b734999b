import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register } from '../../src/demo/world/client.ts';
import { requireCreateOnly } from '../../src/storage/probe/create-only.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { lifeboat } from '../cli/run.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** A homeserver whose repository lies in a bucket of a real S3 server, over TLS. */
let lab: Lab;
let home: LabSynapse;
let server: S3Server;
let place: string;
let config: string;
let identity: string;

beforeAll(async () => {
  [lab, server] = await Promise.all([startLab(), startS3({ tls: true })]);
  home = await lab.startServer('home');
  const person = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const roomId = await person.createRoom({ name: 'private' });
  await person.send(roomId, 'm.room.message', { msgtype: 'm.text', body: 'hello' });
  await person.upload(new Uint8Array(300_000).fill(7), 'application/octet-stream', 'file');
  place = `s3:${server.endpoint}/${await server.bucket()}/matrix`;
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey.reveal(),
    AWS_CA_BUNDLE: server.caFile!,
  });
  config = join(lab.directory, 's3', 'lifeboat.yaml');
  identity = join(lab.directory, 'identity');
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

const run = (...argv: string[]) => lifeboat([...argv, '--config', config]);

describe('a repository in a bucket', () => {
  it('is made by init, takes backups, is checked, verified and drilled', async () => {
    const made = await run(
      ...['init', '--homeserver-config', home.configFile, '--repository', place, '--program', PYTHON],
      ...['--identity-out', identity],
    );
    expect(made.stderr).not.toContain('error');
    expect(made.status).toBe(EXIT.ok);
    expect(await readFile(config, 'utf8')).toContain(`path: ${place}`);
    expect(await run('backup')).toMatchObject({ status: EXIT.ok });
    expect(await run('check', '--read-data')).toMatchObject({ status: EXIT.ok });
    expect(await run('verify', 'latest', '--identity', identity)).toMatchObject({ status: EXIT.ok });
    const reports = join(lab.directory, 'reports');
    const drill = await run('drill', 'latest', '--identity', identity, '--report-dir', reports);
    expect(drill.stdout).toContain('PASS');
    expect(drill.status).toBe(EXIT.ok);
    expect((await run('list')).stdout).toMatch(/PASS \d{4}-/);
  });

  it('says what is wrong: with the key, the bucket, the certificate, the address', async () => {
    const wrong = async (more: Record<string, string>, at = place) => {
      const before = { ...process.env };
      Object.assign(process.env, more);
      const { status, stderr } = await lifeboat(['list', '--repository', at]);
      Object.assign(process.env, before);
      return `${status} ${stderr}`;
    };
    expect(await wrong({ AWS_SECRET_ACCESS_KEY: 'x' })).toMatch(/^30 .*the secret key is wrong/s);
    expect(await wrong({ AWS_ACCESS_KEY_ID: 'x' })).toMatch(/^30 .*the access key is not known/s);
    expect(await wrong({}, `s3:${server.endpoint}/absent-bucket`)).toMatch(/^10 .*there is no such bucket/s);
    expect(await wrong({ AWS_CA_BUNDLE: '/nonexistent' })).toMatch(
      /^1 .*cannot read the certificate authority/s,
    );
  });

  it('is pruned by its retention, and copied to a directory', async () => {
    const text = await readFile(config, 'utf8');
    const copies = `  copies:\n    - {name: attic, path: ${join(lab.directory, 'attic')}}\n`;
    await writeFile(config, text.replace('repository:\n', `repository:\n${copies}`));
    expect(await run('backup')).toMatchObject({ status: EXIT.ok });
    const pruned = await run('prune', '--keep-last', '1', '--keep-within', '0s', '--grace', '0s');
    expect(pruned.stderr).not.toContain('error');
    expect(pruned.status).toBe(EXIT.ok);
    expect(await run('copy')).toMatchObject({ status: EXIT.ok });
    expect(await run('check', '--read-data', '--copy', 'attic')).toMatchObject({ status: EXIT.ok });
  });
});

it('a server that ignores If-None-Match is found out', async () => {
  const store = await openS3Store(server.options(await server.bucket()));
  await requireCreateOnly(store);
  const ignoring = {
    ...store,
    put: async (key: string, body: Uint8Array) => {
      await store.delete(key);
      await store.put(key, body);
      return 'created' as const;
    },
  };
  await expect(requireCreateOnly(ignoring)).rejects.toThrow(/16 of 16 writers/);
});
