import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  keyFingerprints,
  readConfigCheck,
  requireSameKeys,
  startArgv,
  verifyVersion,
} from '../../../src/homeserver/synapse/launch.ts';
import { SIGNING_KEY, tree } from './tree.ts';

describe('launching Synapse', () => {
  it('gives the overlay last', () => {
    expect(startArgv({ program: '/p', configFiles: ['h.yaml', 'overlay.yaml'] }).slice(-4)).toEqual([
      '-c',
      'h.yaml',
      '-c',
      'overlay.yaml',
    ]);
  });

  it('reads the server name that Synapse itself understood', () => {
    const stdout = 'Config parses OK!\n\nserver.server_name: localhost:25010\n';
    expect(readConfigCheck({ exitCode: 0, stdout, stderr: 'a warning\n' })).toEqual({
      ok: true,
      serverName: 'localhost:25010',
      problem: undefined,
    });
  });

  it('gives the reason of a refusal, not the warnings before or the traceback after it', () => {
    const missingKey = "some warning\n\n(\"Error accessing file '/x/signing.key'\", ('signing_key',))\n";
    expect(readConfigCheck({ exitCode: 1, stdout: '', stderr: missingKey }).problem).toBe(
      "(\"Error accessing file '/x/signing.key'\", ('signing_key',))",
    );
    const missingPackage =
      'Synapse 1.163.2 needs hiredis for redis, but it is not installed\nTraceback (most recent call last):\n  File "x"\nDependencyException: x\n';
    expect(readConfigCheck({ exitCode: 1, stdout: '', stderr: missingPackage }).problem).toBe(
      'Synapse 1.163.2 needs hiredis for redis, but it is not installed',
    );
  });

  it('refuses another version, with the command that installs the right one', () => {
    expect(() => verifyVersion('1.163.2', '1.163.2')).not.toThrow();
    expect(() => verifyVersion('1.163.2', '1.170.0')).toThrow(
      expect.objectContaining({
        code: 'drill-impossible',
        message: 'the snapshot is of Synapse 1.163.2, but Synapse 1.170.0 is installed',
      }),
    );
    expect(() => verifyVersion('1.163.2', undefined)).toThrow('no Synapse was found');
  });

  it('notices a key that a start has replaced', async () => {
    const root = await tree({ key: SIGNING_KEY });
    const before = await keyFingerprints(join(root, 'key'));
    await expect(requireSameKeys(join(root, 'key'), before)).resolves.toBeUndefined();
    await writeFile(join(root, 'key'), SIGNING_KEY.replace('ka2H', 'kb2H'));
    await expect(requireSameKeys(join(root, 'key'), before)).rejects.toMatchObject({
      code: 'content-damaged',
    });
    await expect(keyFingerprints(join(root, 'gone'))).rejects.toMatchObject({ code: 'signing-key-missing' });
  });
});
