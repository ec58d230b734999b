import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { lifeboat } from './run.ts';

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-config-'));
  file = join(directory, 'lifeboat.yaml');
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const SETTINGS = {
  version: 1,
  homeserver: { kind: 'synapse', config: ['homeserver.yaml'] },
  repository: { path: 'repository', host_key_file: 'host.key', state_directory: 'state' },
};

describe('config validate', () => {
  it('shows what a valid file means', async () => {
    await writeFile(file, JSON.stringify(SETTINGS));
    const { status, stdout } = await lifeboat(['config', 'validate', '--config', file]);
    expect(stdout).toContain(join(directory, 'repository'));
    expect(status).toBe(EXIT.ok);
  });

  it('names everything that is wrong, each with file, line and column', async () => {
    await writeFile(file, 'version: 1\nhomeserver:\n  kind: synapse\n  config: 7\nretenshun: {}\n');
    const { status, stdout, stderr } = await lifeboat(['config', 'validate', '--config', file]);
    expect(stderr).toContain(`${file}:4:11`);
    expect(stderr).toContain(`${file}:5:1`);
    expect(stderr).toContain('retention');
    expect({ status, stdout }).toEqual({ status: EXIT.usage, stdout: '' });
  });
});

describe('config schema', () => {
  it('prints a JSON Schema without needing a configuration', async () => {
    const { status, stdout } = await lifeboat(['config', 'schema']);
    const schema = JSON.parse(stdout) as { properties: object; additionalProperties: boolean };
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(Object.keys(SETTINGS)));
    expect(schema.additionalProperties).toBe(false);
    expect(status).toBe(EXIT.ok);
  });

  it('is a field of the summary with --json', async () => {
    const { messages } = await lifeboat(['config', 'schema', '--json']);
    expect(messages).toEqual([
      {
        message_type: 'summary',
        command: 'config schema',
        schema: expect.objectContaining({ type: 'object' }),
      },
    ]);
  });
});
