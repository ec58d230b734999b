import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from '../repository/fixture.ts';
import { lifeboat, type Run } from './run.ts';

let fixture: Fixture;
let identity: string;
let ids: string[];

beforeAll(async () => {
  fixture = await makeRepository();
  identity = join(fixture.directory, 'identity');
  await writeFile(identity, `# made for a test\n${fixture.identity.reveal()}\n`, { mode: 0o600 });
  const yaml = `version: 1
homeserver: {kind: synapse, config: [/nowhere/homeserver.yaml]}
repository: {path: repository, host_key_file: host.key, admin_key_file: admin.key, state_directory: state}
retention: {keep_daily: 1, keep_weekly: 0, keep_monthly: 0, floor: 0}
`;
  await writeFile(join(fixture.directory, 'lifeboat.yaml'), yaml);
  ids = [];
  for (const seed of ['a', 'b', 'c']) {
    const { entry } = await backUp(await fixture.open(), sampleSource(seed));
    ids.push(entry.id);
  }
});

afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

/** With the configuration of the fixture. */
function run(...argv: string[]): Promise<Run> {
  return lifeboat(['--config', join(fixture.directory, 'lifeboat.yaml'), ...argv]);
}

describe('commands on a repository', () => {
  it('list shows the snapshots, oldest first, on standard output alone', async () => {
    const { status, stdout, stderr } = await run('list');
    expect(
      stdout
        .split('\n')
        .slice(1, -1)
        .map((line) => line.slice(0, 8)),
    ).toEqual(ids.map((id) => id.slice(0, 8)));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('with --json are one object a line, and the summary comes last', async () => {
    for (const argv of [
      ['list'],
      ['show', 'latest'],
      ['check'],
      ['keys', 'list'],
      ['prune', '--dry-run'],
      ['config', 'validate'],
    ]) {
      const { status, messages } = await run(...argv, '--json');
      expect(messages.map(({ message_type: type }) => type).at(-1)).toBe('summary');
      expect(messages.filter(({ message_type: type }) => type === 'summary')).toHaveLength(1);
      expect(messages.at(-1)).toMatchObject({
        command: argv.filter((word) => !/latest|--/.test(word)).join(' '),
      });
      expect(status).toBe(0);
    }
  });

  it('work without a configuration when the repository is named', async () => {
    const env = { XDG_STATE_HOME: fixture.directory };
    const { status, messages } = await lifeboat(['list', '--json', '-r', fixture.root], { env });
    expect(messages.filter(({ message_type: type }) => type === 'snapshot')).toMatchObject(
      ids.map((id) => ({ id, proven: false })),
    );
    expect(status).toBe(0);
    expect((await lifeboat(['list'], { env: { ...env, LIFEBOAT_REPOSITORY: fixture.root } })).status).toBe(0);
  });

  it('show tells what the host may know, and the rest to who has an identity', async () => {
    const known = await run('show', ids[1]!.slice(0, 6));
    expect(known.stdout).toContain(ids[1]);
    expect(known.stderr).toContain('--identity');
    const all = await run('show', 'latest', '--identity', identity);
    expect(all.stdout).toMatch(/signing keys[^]*ed25519:/);
    expect(all.stdout).toMatch(/configuration/);
  });

  it('check is sound, and counts what it read', async () => {
    const { status, messages } = await run('check', '--read-data', '--json');
    expect(messages.at(-1)).toMatchObject({ ok: true, snapshots: 3, findings: 0 });
    expect(messages.at(-1)!['bytes_read']).toBeGreaterThan(100_000);
    expect(messages.at(-1)!['packs_read']).toBe(messages.at(-1)!['packs']);
    const { stdout } = await run('check', '--read-data-subset', '1B');
    expect(stdout).toMatch(/^sound: .* 1 of \d+ packs read \(.* KiB of .*\), 0 findings$/m);
    expect(status).toBe(0);
  });

  it('repair index and repair snapshots change nothing unless told so, and say what to do', async () => {
    const [segment = ''] = (await readdir(join(fixture.root, 'index'))).slice(-1);
    const [aside, place] = [join(fixture.directory, segment), join(fixture.root, 'index', segment)];
    await rename(place, aside);
    const dry = await run('repair', 'index', '--identity', identity);
    expect(dry.stdout).toMatch(/^\d of \d+ packs .* are in no readable index; --apply reads/);
    expect(dry.status).toBe(0);
    const { status, messages } = await run('repair', 'index', '--identity', identity, '--apply', '--json');
    expect(messages.at(-1)).toMatchObject({ command: 'repair index', dry_run: false, new_segments: 1 });
    expect(status).toBe(0);
    expect((await run('repair', 'index', '--identity', identity)).stdout).toMatch(/^0 of \d+ packs/);
    expect(await run('repair', 'index')).toMatchObject({ status: EXIT.wrongKey });
    await rename(aside, place);

    const [archive = ''] = await readdir(join(fixture.root, 'archives'));
    const [kept, lost] = [join(fixture.directory, archive), join(fixture.root, 'archives', archive)];
    await rename(lost, kept);
    const found = await run('repair', 'snapshots');
    expect(found.stdout).toMatch(
      /^[0-9a-f]{8} cannot be restored whole:\n {2}archives\/.*: it is missing\n1 of 3 /,
    );
    expect(found.status).toBe(EXIT.failed);
    await rename(kept, lost);
    expect(await run('repair', 'snapshots', '--read-data')).toMatchObject({
      status: 0,
      stdout: '0 of 3 snapshots cannot be restored whole\n',
    });
  });

  it('verify reads everything, tells each check, and writes down the result', async () => {
    const { status, messages } = await run('verify', '--identity', identity, '--json');
    expect(
      messages.filter(({ message_type: type }) => type === 'check').map(({ id, result }) => [id, result]),
    ).toEqual([
      ['verify.manifest', 'pass'],
      ['verify.database', 'pass'],
      ['verify.media', 'pass'],
      ['verify.archives', 'pass'],
    ]);
    expect(messages.at(-1)).toMatchObject({ command: 'verify', snapshot: ids[2], ok: true });
    expect(status).toBe(0);
  });

  it('prune --dry-run decides by the rules of the file, or by those given alone, and changes nothing', async () => {
    const decisions = async (...argv: string[]) => {
      const { messages } = await run('prune', '--dry-run', '--json', '--keep-within', '0s', ...argv);
      return messages.filter(({ message_type: type }) => type === 'decision').map(({ keep }) => keep);
    };
    expect(await decisions()).toEqual([true, false, false]);
    expect(await decisions('--keep-last', '2')).toEqual([true, true, false]);
    expect((await run('list')).stdout.split('\n')).toHaveLength(5);
  });

  it('forget lets the only proven snapshot go only when told so twice', async () => {
    const [, second] = ids as [string, string];
    const repository = await fixture.open();
    await repository.recordEvidence({ type: 'drill', snapshotId: second, result: 'PASS', summary: {} });
    const { status, stderr } = await run('forget', second);
    expect(stderr).toContain(`${second.slice(0, 8)} is the only snapshot that a drill has proven`);
    expect(status).toBe(EXIT.preflightRefused);
    expect(await repository.snapshots()).toHaveLength(3);
    await repository.recordEvidence({ type: 'drill', snapshotId: second, result: 'FAIL', summary: {} });
  });

  it('pin keeps a snapshot from forget and prune, unpin and forget let it go', async () => {
    const [oldest] = ids as [string];
    expect((await run('pin', oldest)).stdout).toBe(`${oldest.slice(0, 8)} is pinned\n`);
    const refused = await run('forget', oldest);
    expect(refused.stderr).toContain('is pinned');
    expect(refused.status).toBe(EXIT.usage);
    expect((await run('unpin', oldest)).status).toBe(0);
    expect((await run('forget', oldest)).status).toBe(0);
    const { stdout, status } = await run('prune', '--keep-last', '1', '--grace', '0s', '--keep-within', '0s');
    expect(stdout).toMatch(/forgot 1 of 2 snapshots, freed .* in [1-9]\d* objects\n$/);
    expect(status).toBe(0);
    expect(
      (await run('list', '--json')).messages.filter(({ message_type: type }) => type === 'snapshot'),
    ).toHaveLength(1);
    expect((await run('check', '--read-data')).status).toBe(0);
  });

  it('restore --only says where a key lies that cannot be read, and fails', async () => {
    const target = join(fixture.directory, 'keys');
    const argv = ['--identity', identity, '--only', 'keys', '--target', target];
    const { status, stdout } = await run('restore', 'latest', ...argv);
    expect(stdout).toMatch(/FAIL\b.*what was written can be read/);
    expect(stdout).toContain(join(target, 'etc/example.signing.key'));
    expect(status).toBe(EXIT.failed);
  });

  it('restore --only writes one part, into an empty directory alone', async () => {
    const target = join(fixture.directory, 'media');
    const first = await run(
      'restore',
      'latest',
      '--identity',
      identity,
      '--only',
      'media',
      '--target',
      target,
    );
    expect(first.stdout).toMatch(/^ok .*every file of the manifest is on the disk/);
    expect(first.stdout).toContain(target);
    expect(first.status).toBe(0);
    const second = await run(
      'restore',
      'latest',
      '--identity',
      identity,
      '--only',
      'media',
      '--target',
      target,
    );
    expect(second.stderr).toContain(`${target} is not empty`);
    expect(second.status).toBe(EXIT.preflightRefused);
  });

  it('a restore is refused without the name of the server, or with another', async () => {
    const argv = [
      'restore',
      'latest',
      '--identity',
      identity,
      '--target',
      join(fixture.directory, 'new'),
      '--database',
      'postgresql://u@h/d',
    ];
    for (const given of [[], ['--confirm', 'other.example']]) {
      const { status, stderr } = await run(...argv, ...given);
      expect(stderr).toMatch(/lifeboat: error: .*(not confirmed|not of other\.example)\nhint: .*--confirm /);
      expect(status).toBe(EXIT.preflightRefused);
    }
  });
});

describe('what is missing has its own exit status', () => {
  it.each([
    ['a repository', ['list', '-r', '/nowhere/at/all'], EXIT.noRepository],
    ['a configuration', ['list', '--config', '/nowhere/lifeboat.yaml'], EXIT.usage],
    ['an identity file', ['show', 'latest', '--identity', '/nowhere/identity'], EXIT.wrongKey],
    ['an identity', ['verify'], EXIT.wrongKey],
    ['a snapshot', ['show', 'abcdef'], EXIT.failed],
  ])('%s', async (_what, argv, status) => {
    expect(await run(...argv)).toMatchObject({ status, stdout: '' });
  });

  it('an admin key', async () => {
    const admin = join(fixture.directory, 'admin.key');
    const moved = await run('list', '--json');
    const id = String(moved.messages[0]!['id']);
    await rm(admin);
    expect(await run('pin', id)).toMatchObject({ status: EXIT.wrongKey });
  });
});
