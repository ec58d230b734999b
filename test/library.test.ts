import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as lifeboat from '../src/index.ts';
import { backUp, sampleSource } from './repository/fixture.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-library-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the library', () => {
  it('makes a repository, opens it again and verifies a snapshot, with nothing but what it exports', async () => {
    const place = { path: join(directory, 'repository'), stateDirectory: join(directory, 'state') };
    const keys = { hostKeyFile: join(directory, 'host.key'), adminKeyFile: join(directory, 'admin.key') };
    const { recoveryIdentity } = await lifeboat.createRepository(await lifeboat.openLocalStore(place.path), {
      ...keys,
      clock: lifeboat.systemClock,
      version: lifeboat.VERSION,
    });
    const { entry } = await backUp(
      await lifeboat.openAt({ ...place, ...keys }, lifeboat.systemClock),
      sampleSource(),
    );
    const repository = await lifeboat.openRepository(await lifeboat.openLocalStore(place.path), {
      stateDirectory: place.stateDirectory,
      identities: [recoveryIdentity!],
      clock: lifeboat.systemClock,
      hostname: 'reader.example',
      version: lifeboat.VERSION,
    });
    const { id } = await repository.resolve('latest');
    expect(id).toBe(entry.id);
    const checks = await Array.fromAsync(lifeboat.verifySnapshot(repository, id, () => undefined));
    expect(lifeboat.verifyEvidence(id, checks)).toMatchObject({ type: 'verify', result: 'PASS' });
  });

  it('throws errors that can be told apart by their code', async () => {
    const place = { path: join(directory, 'nothing'), stateDirectory: join(directory, 'state') };
    const error: unknown = await lifeboat
      .openAt(place, lifeboat.systemClock)
      .catch((thrown: unknown) => thrown);
    expect(lifeboat.isLifeboatError(error, 'repository-missing')).toBe(true);
  });
});
