import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register } from '../../src/demo/world/client.ts';
import { lifeboat, type Run } from '../cli/run.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** A homeserver that backs up to servers where its account may only add; set up by flags of `init` alone. */
let lab: Lab;
let home: LabSynapse;
let s3: S3Server;
let sshd: Sshd;

beforeAll(async () => {
  [lab, s3, sshd] = await Promise.all([startLab(), startS3({ tls: true }), startSshd()]);
  home = await lab.startServer('home');
  const person = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const roomId = await person.createRoom({ name: 'private' });
  await person.send(roomId, 'm.room.message', { msgtype: 'm.text', body: 'hello' });
  await person.upload(new Uint8Array(300_000).fill(7), 'application/octet-stream', 'file');
});
afterAll(async () => {
  await Promise.all([s3, sshd].map((server) => server[Symbol.asyncDispose]()));
  asRoot(`chattr -R -f -i ${lab.directory}`);
  await lab[Symbol.asyncDispose]();
});

const NOW = ['--keep-last', '1', '--keep-within', '0s', '--grace', '0s'];

/** Retention that has something to forget after two backups. */
async function keepOne(config: string): Promise<void> {
  writeFileSync(config, (await readFile(config, 'utf8')).replace('floor: 3', 'floor: 1'));
}

function requireOk({ status, stderr }: Run): void {
  expect({ status, stderr }).toEqual({ status: EXIT.ok, stderr: '' });
}

/** What docs/stores.md tells its readers to copy. */
async function documented(name: 'policy' | 'sshd' | 'seal' | 'unseal'): Promise<string> {
  const text = await readFile(new URL('../../docs/stores.md', import.meta.url), 'utf8');
  return new RegExp(`<!-- append-only-${name} -->\\n\\n((?: {4}.*\\n)+)`).exec(text)![1]!.trim();
}

/** Only root seals files: who runs the tests as somebody else needs sudo. */
function asRoot(command: string): void {
  const shell = ['sh', '-c', command];
  const [program = '', ...argv] = process.getuid?.() === 0 ? shell : ['sudo', '-n', ...shell];
  execFileSync(program, argv, { stdio: 'pipe' });
}

const snapshots = ({ messages }: Run) =>
  messages.filter(({ message_type: type }) => type === 'snapshot').length;

describe('an account that may only add', () => {
  it('to a bucket backs up and restores; prune says who may, and loses nothing', async () => {
    const bucket = await s3.bucket();
    const account = await s3.user(bucket, [{ actions: ['s3:GetObject'], resources: ['/*'] }]);
    const policy = (await documented('policy')).replaceAll('BUCKET', bucket);
    const Policy = policy.replaceAll('BACKUP-USER', account.accessKeyId!);
    await s3.admin.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
    const config = join(lab.directory, 'append-s3', 'lifeboat.yaml');
    const [secretFile, identity] = [join(lab.directory, 's3-secret'), join(lab.directory, 's3-identity')];
    writeFileSync(secretFile, `${account.secretAccessKey!.reveal()}\n`, { mode: 0o600 });
    const run = (...argv: string[]) => lifeboat([...argv, '--config', config, '--quiet']);
    const made = await run(
      ...['init', '--homeserver-config', home.configFile, '--program', PYTHON, '--identity-out', identity],
      ...['--repository', `s3:${s3.endpoint}/${bucket}/matrix`, '--s3-ca-file', s3.caFile!],
      ...['--s3-access-key-id', account.accessKeyId!, '--s3-secret-key-file', secretFile],
    );
    expect(made.stderr).toBe('');
    expect(made.status).toBe(EXIT.ok);
    expect(await readFile(config, 'utf8')).not.toContain(account.secretAccessKey!.reveal());
    for (let night = 0; night < 2; night += 1) requireOk(await run('backup'));

    await keepOne(config);
    const denied = await run('prune', ...NOW);
    expect(denied.stderr).toContain('this account may not delete at s3:');
    expect(denied.stderr).toContain('with an account that may delete');
    expect(denied.status).toBe(EXIT.preflightRefused);
    expect(snapshots(await run('list', '--json'))).toBe(2);
    requireOk(await run('verify', 'latest', '--identity', identity));
    requireOk(await run('backup'));

    writeFileSync(secretFile, s3.secretAccessKey.reveal());
    const text = await readFile(config, 'utf8');
    writeFileSync(config, text.replace(account.accessKeyId!, s3.accessKeyId));
    const pruned = await run('prune', ...NOW);
    expect(pruned.stderr).toBe('');
    expect(pruned.status).toBe(EXIT.ok);
    requireOk(await run('check', '--read-data'));
  });

  it('by SFTP backs up, is drilled, and prune says who may', async () => {
    const config = join(lab.directory, 'append-sftp', 'lifeboat.yaml');
    const identity = join(lab.directory, 'sftp-identity');
    const run = (...argv: string[]) => lifeboat([...argv, '--config', config, '--quiet']);
    const { user, identityFile, knownHostsFile } = sshd.options('');
    const made = await run(
      ...['init', '--homeserver-config', home.configFile, '--program', PYTHON, '--identity-out', identity],
      ...['--repository', `sftp://${user}@127.0.0.1:${sshd.port}/repository`],
      ...['--ssh-key', identityFile!, '--ssh-known-hosts', knownHostsFile!],
    );
    expect(made.stderr).toBe('');
    expect(made.status).toBe(EXIT.ok);
    requireOk(await run('backup'));
    await sshd.deny(/-P (\S+)/.exec(await documented('sshd'))![1]!.split(','));
    requireOk(await run('backup'));
    await keepOne(config);
    const denied = await run('prune', ...NOW);
    expect(denied.stderr).toContain('this account may not delete at sftp:');
    expect(denied.stderr).toContain('with an account that may delete');
    expect(denied.status).toBe(EXIT.preflightRefused);
    expect(snapshots(await run('list', '--json'))).toBe(2);
    expect((await run('list')).stdout.trim().split('\n')).toHaveLength(3);
    await sshd.deny([]);
    requireOk(await run('prune', ...NOW));
    requireOk(await run('check', '--read-data'));
    const reports = join(lab.directory, 'sftp-reports');
    const drill = await run('drill', 'latest', '--identity', identity, '--report-dir', reports);
    expect(drill.stdout).toContain('PASS');
    expect(drill.status).toBe(EXIT.ok);
  });

  it('to a directory that root has sealed backs up; prune says who may, and loses nothing', async () => {
    const config = join(lab.directory, 'append-local', 'lifeboat.yaml');
    const [place, identity] = [join(lab.directory, 'sealed'), join(lab.directory, 'local-identity')];
    const run = (...argv: string[]) => lifeboat([...argv, '--config', config, '--quiet']);
    const made = await run(
      ...['init', '--homeserver-config', home.configFile, '--program', PYTHON, '--identity-out', identity],
      ...['--repository', place],
    );
    expect(made.status).toBe(EXIT.ok);
    const seal = (await documented('seal')).replaceAll('/srv/lifeboat', place);
    for (let night = 0; night < 2; night += 1) {
      requireOk(await run('backup'));
      asRoot(seal);
    }
    expect(() => writeFileSync(join(place, 'lifeboat.json'), 'overwritten')).toThrow('EPERM');
    await keepOne(config);
    const denied = await run('prune', ...NOW);
    expect(denied.stderr).toContain(`this account may not delete at ${place}`);
    expect(denied.stderr).toContain('with an account that may delete');
    expect(denied.status).toBe(EXIT.preflightRefused);
    requireOk(await run('verify', 'latest', '--identity', identity));
    requireOk(await run('backup'));

    asRoot((await documented('unseal')).replaceAll('/srv/lifeboat', place));
    requireOk(await run('prune', ...NOW));
    requireOk(await run('check', '--read-data'));
  });

  it('refuses flags of another kind of store', async () => {
    const made = await lifeboat([
      ...['init', '--homeserver-config', home.configFile, '--program', PYTHON, '--recipient', 'age1'],
      ...['--repository', join(lab.directory, 'elsewhere'), '--ssh-key', '/nowhere'],
    ]);
    expect(made.stderr).toContain('--ssh-... is for a repository at sftp:');
    expect(made.status).toBe(EXIT.usage);
  });
});
