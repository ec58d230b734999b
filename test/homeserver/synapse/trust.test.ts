import { access, chmod, chown, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { discoverSynapse } from '../../../src/homeserver/synapse/discover.ts';
import { runnerOf } from '../../../src/homeserver/synapse/trust.ts';
import { DATABASE, SIGNING_KEY } from './tree.ts';

/** A user that owns nothing on this machine. */
const STRANGER = 54_321;
const OURSELVES = { allowed: true, uid: undefined, gid: undefined };

/** Below a directory in which only root writes: /tmp is everybody's. */
async function rootsOwn(): Promise<string> {
  const root = await mkdtemp('/var/lib/lifeboat-trust-');
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await chmod(root, 0o755);
  return root;
}

async function script(path: string, text = '#!/bin/sh\necho 1.163.2\n'): Promise<string> {
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

/** `root/venv/bin/python`, a link to the system's shell, as an environment has one. */
async function environment(root: string): Promise<string> {
  await mkdir(join(root, 'venv/bin'), { recursive: true });
  await writeFile(join(root, 'venv/pyvenv.cfg'), '');
  await symlink('/bin/sh', join(root, 'venv/bin/python'));
  return join(root, 'venv/bin/python');
}

/** What only root is at the mercy of, and only root can try. */
const asRoot = process.getuid?.() === 0 ? it : it.skip;

describe('a program that root finds', () => {
  asRoot('is started as root when it and all around it are root’s alone', async () => {
    expect(await runnerOf(await environment(await rootsOwn()), { named: false })).toEqual(OURSELVES);
  });

  asRoot(
    'is started as its owner when the file, a directory, a link or its environment is another user’s',
    async () => {
      const root = await rootsOwn();
      const asStranger = { allowed: true, uid: STRANGER, gid: 65_534 };
      const file = await script(join(root, 'file'));
      await chown(file, STRANGER, 0);
      expect(await runnerOf(file, { named: false })).toEqual(asStranger);
      for (const part of ['venv', 'venv/bin', 'venv/pyvenv.cfg']) {
        const program = await environment(await rootsOwn());
        await chown(join(program, '../../..', part), STRANGER, STRANGER);
        expect(await runnerOf(program, { named: false })).toEqual(asStranger);
      }
      await symlink(file, join(root, 'link'));
      expect(await runnerOf(join(root, 'link'), { named: false })).toEqual(asStranger);
    },
  );

  asRoot(
    'is not started at all when others can replace it, and the sticky bit counts only for a named one',
    async () => {
      const root = await rootsOwn();
      const program = await script(join(root, 'program'));
      await chmod(root, 0o1777);
      expect(await runnerOf(program, { named: false })).toEqual({
        allowed: false,
        reason: `${root} can be written to by others than root`,
      });
      expect(await runnerOf(program, { named: true })).toEqual(OURSELVES);
      await chmod(root, 0o777);
      expect(await runnerOf(program, { named: true })).toMatchObject({ allowed: false });
    },
  );

  it('is an ordinary user’s own affair when we are not root', async () => {
    expect(await runnerOf('/nonexistent', { named: false, ourUid: 1000 })).toEqual(OURSELVES);
  });
});

asRoot('discovery as root runs another user’s program beside the configuration as that user', async () => {
  const root = await rootsOwn();
  const said = join(root, 'venv/who');
  await mkdir(join(root, 'venv/bin'), { recursive: true });
  await script(join(root, 'venv/bin/python'), `#!/bin/sh\nid -u > ${said}\necho 1.163.2\n`);
  await writeFile(said, '');
  for (const path of ['venv', 'venv/bin', 'venv/bin/python', 'venv/who'])
    await chown(join(root, path), STRANGER, STRANGER);
  await writeFile(join(root, 'homeserver.yaml'), `server_name: a.example\n${DATABASE}`);
  await writeFile(join(root, 'a.example.signing.key'), SIGNING_KEY, { mode: 0o600 });
  const inventory = await discoverSynapse({ configFiles: [join(root, 'homeserver.yaml')] });
  expect(inventory.version).toBe('1.163.2');
  expect(await readFile(said, 'utf8')).toBe(`${STRANGER}\n`);
});

asRoot('does not believe a stranger’s process that claims to be Synapse, and says so', async () => {
  const root = await rootsOwn();
  const theirs = await mkdtemp(join(tmpdir(), 'lifeboat-stranger-'));
  onTestFinished(() => rm(theirs, { recursive: true, force: true }));
  await writeFile(join(root, 'homeserver.yaml'), `server_name: a.example\n${DATABASE}`);
  await writeFile(join(root, 'a.example.signing.key'), SIGNING_KEY, { mode: 0o600 });
  await chmod(theirs, 0o755);
  const mark = join(theirs, 'executed');
  await script(join(theirs, 'python'), `#!/bin/sh\ntouch ${mark}\necho 6.6.6\n`);
  const command = `exec -a ${join(theirs, 'python')} sh -c 'read line' -m synapse.app.homeserver -c ${join(root, 'homeserver.yaml')}`;
  const stranger = spawn('/bin/bash', ['-c', command], {
    cwd: theirs,
    uid: STRANGER,
    gid: STRANGER,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  onTestFinished(async () => {
    stranger.stdin.end();
    if (stranger.exitCode === null) await once(stranger, 'exit');
  });
  await once(stranger, 'spawn');
  await expect
    .poll(async () => {
      const { version, mediaStorePath, warnings } = await discoverSynapse({
        configFiles: [join(root, 'homeserver.yaml')],
      });
      return { version, mediaStorePath, warned: warnings.filter((each) => each.includes('not believed')) };
    })
    .toEqual({
      version: undefined,
      mediaStorePath: join(root, 'media_store'),
      warned: [expect.stringContaining(`process ${stranger.pid} of user ${STRANGER} looks like`)],
    });
  await expect(access(mark)).rejects.toThrow('ENOENT');
});
