import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { EXIT } from '../../src/core/errors.ts';
import { lifeboat, type Run } from '../cli/run.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** The way of a newcomer: init, doctor, backup, drill, restore, each as a command on a real homeserver. */
let lab: Lab;
let home: LabSynapse;
let directory: string;

const file = (name: string) => join(directory, name);

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  const away = await lab.startServer('away');
  await fillWorld(home, away, { users: 2, messages: 10, media: 3 });
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-command-line-'));
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** With --json and the configuration that `init` wrote. */
function run(...argv: string[]): Promise<Run> {
  return lifeboat([...argv, '--config', file('lifeboat.yaml'), '--json']);
}

function checksOf(messages: Run['messages']): unknown {
  return messages.filter(({ message_type: type }) => type === 'check').map(({ id, result }) => [id, result]);
}

function failures({ messages, stderr }: Run): unknown {
  return {
    stderr,
    failed: messages.filter(({ message_type: type, result }) => type === 'check' && result === 'fail'),
  };
}

describe('the commands on a real homeserver', { timeout: 180_000 }, () => {
  it('init --dry-run finds everything and makes nothing', async () => {
    const { status, stdout } = await lifeboat(initArguments('--dry-run'));
    expect(stdout).toContain(home.serverName);
    expect(status).toBe(EXIT.ok);
    expect(await readdir(directory)).toEqual([]);
  });

  it('init without a way for the identity is refused before anything is made', async () => {
    const argv = initArguments().filter((word) => !/identity/.test(word));
    expect(await lifeboat(argv)).toMatchObject({
      status: EXIT.usage,
      stderr: expect.stringContaining('--identity-out'),
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('init makes repository, keys and configuration, and prints no secret', async () => {
    const { status, stdout, stderr } = await lifeboat(initArguments());
    expect({ status, stderr }).toEqual({ status: EXIT.ok, stderr: '' });
    expect((await readdir(directory)).toSorted()).toEqual([
      'admin.key',
      'host.key',
      'identity',
      'lifeboat.yaml',
      'repository',
    ]);
    expect((await stat(file('identity'))).mode & 0o777).toBe(0o600);
    expect(stdout).not.toContain('AGE-SECRET-KEY');
    expect(await lifeboat(initArguments())).toMatchObject({ status: EXIT.preflightRefused });
  });

  it('doctor finds everything there, and says that no snapshot is', async () => {
    const examined = await run('doctor');
    expect(failures(examined)).toEqual({ stderr: '', failed: [] });
    expect(examined.messages.find(({ id }) => id === 'doctor.repository')).toMatchObject({ result: 'warn' });
    expect(examined.status).toBe(EXIT.ok);
  });

  it('backup --dry-run shows the plan, backup stores it, and a second one stores little', async () => {
    expect((await run('backup', '--dry-run')).messages.at(-1)).toMatchObject({
      dry_run: true,
      plan: { serverName: home.serverName },
    });
    const first = await run('backup', '--tag', 'first');
    // The other homeserver's database lies in the same cluster, and nobody has said whose it is.
    const warned = expect.stringMatching(
      /^lifeboat: warning: database away \S+ .* is not backed up: [^\n]*\n$/,
    );
    expect(failures(first)).toEqual({ stderr: warned, failed: [] });
    expect(first.messages.at(-1)).toMatchObject({
      message_type: 'summary',
      command: 'backup',
      tags: ['first'],
      omissions: [],
    });
    const second = await run('backup');
    expect(failures(second)).toEqual({ stderr: warned, failed: [] });
    expect(Number(second.messages.at(-1)!['stored_bytes'])).toBeLessThan(
      Number(first.messages.at(-1)!['stored_bytes']),
    );
    expect(second.status).toBe(EXIT.ok);
  });

  it('drill proves the snapshot, writes every report, and list shows it proven', async () => {
    const drilled = await run(
      'drill',
      'latest',
      '--identity',
      file('identity'),
      '--report-dir',
      file('reports'),
      '--junit',
      file('ci.xml'),
      '--rto-target',
      '1h',
    );
    expect(failures(drilled)).toMatchObject({ failed: [] });
    expect(drilled.messages.at(-1)).toMatchObject({
      message_type: 'summary',
      result: 'PASS',
      targets_missed: [],
    });
    expect(drilled.status).toBe(EXIT.ok);
    expect(await readdir(file('reports'))).toHaveLength(5);
    expect(await readFile(file('ci.xml'), 'utf8')).toContain('failures="0"');
    expect((await run('list')).messages.map(({ proven }) => proven)).toEqual([false, true, undefined]);
  });

  it('drill of plain files needs no repository, and misses a target that nothing can reach', async () => {
    const dump = file('synapse.dump');
    const files = [
      '--dump',
      dump,
      '--media',
      join(home.directory, 'media_store'),
      '--signing-key',
      home.signingKeyFile,
      '--config',
      home.configFile,
    ];
    const part = await run(
      'restore',
      'latest',
      '--only',
      'database',
      '--target',
      file('dump'),
      '--identity',
      file('identity'),
    );
    expect(checksOf(part.messages)).toEqual([
      ['part.dump-as-in-manifest', 'pass'],
      ['part.dump-readable', 'pass'],
    ]);
    for (const [only, ids] of [
      ['keys', ['keys.present', 'keys.fingerprint', 'keys.mode']],
      ['config', ['part.config-server-name']],
      ['media', ['media.as-in-manifest']],
    ] as const) {
      const argv = ['--only', only, '--target', file(`only-${only}`), '--identity', file('identity')];
      const other = await run('restore', 'latest', ...argv);
      expect(checksOf(other.messages)).toEqual(ids.map((id) => [id, 'pass']));
      expect(other.status).toBe(EXIT.ok);
    }
    const [written] = part.messages.at(-1)!['written'] as string[];
    await writeFile(dump, await readFile(written!));
    const { status, messages } = await lifeboat([
      'drill',
      ...files,
      '--program',
      PYTHON,
      '--report-dir',
      file('reports-files'),
      '--rto-target',
      '1ms',
      '--json',
    ]);
    expect(messages.at(-1)).toMatchObject({
      result: 'PASS',
      snapshot: 'files',
      targets_missed: [expect.stringContaining('RTO target 1 ms')],
    });
    expect(status).toBe(EXIT.targetMissed);
  });

  it('restore puts everything into a new place, and says how to start it', async () => {
    const { host, port, user, password, database } = await lab.postgres.createDatabase(
      'restored',
      'restored',
    );
    const url = host.startsWith('/')
      ? `postgresql://${user}@:${port}/${database}?host=${host}`
      : `postgresql://${user}@${host}:${port}/${database}`;
    const argv = [
      'restore',
      'latest-proven',
      '--identity',
      file('identity'),
      '--target',
      file('new'),
      '--database',
      url,
      '--json',
      '--config',
      file('lifeboat.yaml'),
    ];
    const env = password === undefined ? {} : { PGPASSWORD: password.reveal() };
    expect((await lifeboat([...argv, '--dry-run'], { env })).status).toBe(EXIT.ok);
    const restored = await lifeboat([...argv, '--confirm', home.serverName], { env });
    expect(failures(restored)).toMatchObject({ failed: [] });
    expect(restored.messages.at(-1)).toMatchObject({
      command: 'restore',
      ok: true,
      server_name: home.serverName,
    });
    expect(restored.messages.at(-1)!['start_command']).toEqual(
      expect.arrayContaining(['synapse.app.homeserver']),
    );
    expect(restored.status).toBe(EXIT.ok);
  });
});

function initArguments(...more: string[]): string[] {
  const places = [
    '--repository',
    file('repository'),
    '--config',
    file('lifeboat.yaml'),
    '--identity-out',
    file('identity'),
    '--state-directory',
    file('repository/../state'),
  ];
  return ['init', '--homeserver-config', home.configFile, '--program', PYTHON, ...places, ...more];
}
