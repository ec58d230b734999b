import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RestoreContext } from '../../src/restore/context.ts';
import { restoreMediaStep } from '../../src/restore/steps/restore-media.ts';

it('media that do not fit are not begun to be written', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-room-'));
  const context = {
    source: { mediaBytes: () => Promise.resolve(Number.MAX_SAFE_INTEGER), media: () => [] },
    target: { directory, mediaDirectory: join(directory, 'media_store') },
  };
  await expect(restoreMediaStep.apply(context as unknown as RestoreContext)).rejects.toMatchObject({
    code: 'disk-full',
    message: expect.stringMatching(/^the media need 8\.0 PiB, and .* left$/),
  });
  expect(await readdir(directory)).toEqual([]);
  await rm(directory, { recursive: true });
});
