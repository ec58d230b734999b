import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { EXIT } from '../../src/core/errors.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register, type MatrixClient } from '../../src/demo/world/client.ts';
import { picture } from '../../src/demo/world/picture.ts';
import { lifeboat } from '../cli/run.ts';
import { damage } from '../media/rsync/run.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';
import { startLab, type Lab } from './backed-up-world.ts';

/** A real Synapse whose media go by rsync: to a directory, then pulled over SSH as a backup host would. */
const runFile = promisify(execFile);
let lab: Lab;
let sshd: Sshd;
let home: LabSynapse;
let config: Config;
let alice: MatrixClient;
let place: string;
let uploaded: string[];

beforeAll(async () => {
  [lab, sshd] = await Promise.all([startLab(), startSshd()]);
  home = await lab.startServer('home');
  alice = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const mxcs = [await alice.upload(picture(300, 200, 20), 'image/png', 'picture')];
  for (let number = 0; number < 3; number += 1)
    mxcs.push(await alice.upload(new Uint8Array(randomBytes(40_000)), 'application/octet-stream', 'file'));
  uploaded = mxcs.map(pathOf);
  place = join(lab.directory, 'media-place');
  config = await lab.configure(home);
  await writeFile(config.file, await withMedia(`strategy: rsync\n  rsync: {place: ${place}}`));
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
});

const pathOf = (mxc: string): string => {
  const id = mxc.split('/').at(-1)!;
  return `local_content/${id.slice(0, 2)}/${id.slice(2, 4)}/${id.slice(4)}`;
};
const withMedia = async (media: string) => `${await readFile(config.file, 'utf8')}\nmedia:\n  ${media}\n`;
const identity = () => ['--identity', config.repository.identityFile!];
const run = (...argv: string[]) => lifeboat([...argv, '--config', config.file]);
/** Oldest first. */
const generations = (at: string): string[] =>
  readdirSync(at).flatMap((id) =>
    readdirSync(join(at, id))
      .toSorted()
      .map((name) => join(at, id, name)),
  );

describe('a Synapse whose media go to another place by rsync', () => {
  it('is backed up twice, and the second time all of its media are links', async () => {
    for (const time of [1, 2]) expect(await run('backup'), `${time}`).toMatchObject({ status: EXIT.ok });
    const [first, second] = generations(place);
    for (const path of uploaded)
      expect(statSync(join(second!, path)).ino).toBe(statSync(join(first!, path)).ino);
    const { stdout } = await run('show', 'latest', ...identity());
    expect(stdout).toContain(`in clear at ${second} (rsync)`);
    expect((await run('doctor')).stdout).toContain(`by rsync to ${place}`);
  });

  it('gets all of its media back by restore', async () => {
    const target = join(lab.directory, 'restored');
    const restored = await run('restore', 'latest', '--only', 'media', '--target', target, ...identity());
    expect(restored.status).toBe(EXIT.ok);
    for (const name of ['local_content', 'local_thumbnails'])
      await runFile('diff', ['-r', join(home.mediaDirectory, name), join(target, name)]);
  });

  it('is brought back by hand, with the media from wherever they lie', async () => {
    const target = join(lab.directory, 'by-hand');
    const script = join(config.repository.path, 'recover.sh');
    const argv = [script, config.repository.identityFile!, 'latest', target];
    const moved = `${place}-moved`;
    renameSync(place, moved);
    await expect(runFile('bash', argv, { cwd: tmpdir() })).rejects.toThrow('MEDIA=DIRECTORY');
    await runFile('rm', ['-r', target]);
    const media = generations(moved).at(-1)!;
    await runFile('bash', argv, { cwd: tmpdir(), env: { ...process.env, MEDIA: media } });
    for (const name of ['local_content', 'local_thumbnails'])
      await runFile('diff', ['-r', join(home.mediaDirectory, name), join(target, 'media', name)]);
    expect(await run('verify', ...identity())).toMatchObject({ status: EXIT.failed });
    const elsewhere = await run('verify', '--media-place', moved, ...identity());
    expect(elsewhere.status).toBe(EXIT.ok);
    renameSync(moved, place);
  });

  it('is told by verify and by a drill which file was damaged at the place', async () => {
    const damaged = join(generations(place).at(-1)!, uploaded[1]!);
    const original = await readFile(damaged);
    damage(damaged);
    const verify = await run('verify', 'latest', ...identity());
    expect(verify.stdout).toContain(uploaded[1]);
    expect(verify.status).toBe(EXIT.failed);
    const drill = await run('drill', 'latest', ...identity());
    expect(drill.stdout).toContain(uploaded[1]);
    expect(drill.status).toBe(EXIT.drillFailed);
    await writeFile(damaged, original);
    expect(await run('verify', 'latest', ...identity())).toMatchObject({ status: EXIT.ok });
  });

  it('is told which media are gone, and which never had a file, as clients call them, with status 3', async () => {
    const lost = join(home.mediaDirectory, uploaded[2]!);
    renameSync(lost, `${home.mediaDirectory}-lost`);
    const never = await alice.upload(new Uint8Array(randomBytes(10)), 'application/octet-stream', 'file');
    rmSync(join(home.mediaDirectory, pathOf(never)));
    const { status, stderr } = await run('backup');
    expect(stderr).toContain(`the snapshot has what was stored of them before: ${uploaded[2]}`);
    expect(stderr).toContain(`media without file: ${never}`);
    expect(status).toBe(EXIT.omissions);
    renameSync(`${home.mediaDirectory}-lost`, lost);
    const { stdout } = await run('show', 'latest', ...identity());
    expect(stdout).toContain(`without file: ${never}`);
  });

  it('loses the media of a snapshot with the snapshot, and not before', async () => {
    const before = generations(place);
    const [oldest, ...others] = before;
    const id = oldest!.split('.').at(-1)!;
    expect(await run('forget', id)).toMatchObject({ status: EXIT.ok });
    const inGrace = await run('prune');
    expect(inGrace.status).toBe(EXIT.ok);
    // A day, whatever grace is given.
    await run('prune', '--grace', '0s');
    expect(generations(place)).toEqual(before);
    const aged = oldest!.replace(/[^/]*$/, `2026-01-01T000000.000Z.${id}`);
    renameSync(oldest!, aged);
    const dry = await run('prune', '--dry-run');
    expect(dry.stdout).toContain('would delete the media of');
    expect(generations(place)).toEqual([aged, ...others]);
    const pruned = await run('prune');
    expect(pruned.stdout).toContain(`deleted the media of ${aged.split('/').at(-1)}`);
    expect(generations(place)).toEqual(others);
    expect(await run('verify', 'latest', ...identity())).toMatchObject({ status: EXIT.ok });
  });

  it('is backed up anew when its generation goes away before the snapshot is recorded', async () => {
    const lost: string[] = [];
    const { outcome, repository } = await lab.backUp(
      await loadConfig(config.file, { LIFEBOAT_IDENTITY_FILE: config.repository.identityFile! }),
      {
        progress: ({ phase, message }) => {
          if (phase !== 'commit' || message?.startsWith('writing') !== true || lost.length > 0) return;
          lost.push(generations(place).at(-1)!);
          rmSync(lost[0]!, { recursive: true });
        },
      },
    );
    expect(lost).toHaveLength(1);
    const { id } = outcome.commit.entry;
    expect(lost[0]).not.toContain(id);
    const { media } = await repository.manifest(id);
    expect(media).toMatchObject({ external: { generation: expect.stringContaining(id) as string } });
    const verified = await run('verify', 'latest', ...identity());
    expect(verified.status).toBe(EXIT.ok);
  });

  it('is pulled over SSH by a backup host, and passes a drill there', async () => {
    const { identityFile, knownHostsFile, sshOptions = [] } = sshd.options('');
    const pulled = join(lab.directory, 'pulled');
    const file = join(lab.directory, 'pull.yaml');
    const source = `sftp://${userInfo().username}@127.0.0.1:${sshd.port}/${home.mediaDirectory}`;
    const ssh = `{identity_file: ${identityFile}, known_hosts_file: ${knownHostsFile}, options: [${sshOptions.join(', ')}]}`;
    const text = (await readFile(config.file, 'utf8')).replace(/\nmedia:[^]*$/, '');
    // The media directory that homeserver.yaml names is not on this machine, as far as lifeboat knows.
    const media = `path: /nowhere\n  strategy: rsync\n  rsync: {place: ${pulled}, source: "${source}", ssh: ${ssh}}`;
    await writeFile(file, `${text}\nmedia:\n  ${media}\n`);
    const backup = await lifeboat(['backup', '--config', file]);
    // The row without file is told here, too.
    expect(backup.status).toBe(EXIT.omissions);
    for (const path of uploaded)
      expect(await readFile(join(generations(pulled).at(-1)!, path))).toEqual(
        await readFile(join(home.mediaDirectory, path)),
      );
    const drill = await lifeboat(['drill', 'latest', ...identity(), '--config', file]);
    expect(drill.stdout).toContain('PASS');
    expect(drill.status).toBe(EXIT.ok);
  });
});
