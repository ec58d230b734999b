import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRunningSynapse } from '../../../src/homeserver/synapse/running.ts';
import { tree } from './tree.ts';

/** A /proc with these processes, each with working directory /srv. */
async function proc(commandLines: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const root = await tree({});
  for (const [pid, argv] of Object.entries(commandLines)) {
    await mkdir(join(root, pid));
    await symlink('/srv', join(root, pid, 'cwd'));
    await writeFile(join(root, pid, 'status'), `Name:\tpython\nUid:\t99${pid}\t0\t0\t0\n`);
    await writeFile(join(root, pid, 'cmdline'), argv.map((argument) => `${argument}\0`).join(''));
  }
  return root;
}

describe('a running Synapse', () => {
  it('is recognised as a module, as a console script, and by nothing else', async () => {
    const root = await proc({
      '10': [
        '/venv/bin/python',
        '-m',
        'synapse.app.homeserver',
        '--config-path=/etc/h.yaml',
        '--config-path',
        'conf.d',
      ],
      '11': ['env/bin/python', 'env/bin/synapse_homeserver', '-c', 'h.yaml'],
      '12': ['/venv/bin/python', '-m', 'synapse.app.generic_worker', '-c', 'h.yaml'],
      '13': ['grep', 'synapse.app.homeserver'],
      '14': [],
    });
    expect(await findRunningSynapse(root)).toEqual([
      {
        pid: 10,
        uid: 9910,
        program: '/venv/bin/python',
        workingDirectory: '/srv',
        configFiles: ['/etc/h.yaml', '/srv/conf.d'],
      },
      {
        pid: 11,
        uid: 9911,
        program: '/srv/env/bin/python',
        workingDirectory: '/srv',
        configFiles: ['/srv/h.yaml'],
      },
    ]);
  });

  it('is not found on a machine without /proc', async () => {
    expect(await findRunningSynapse('/nowhere')).toEqual([]);
  });
});
