import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { requirePlaceFit } from '../../src/jobs/media/rsync-place.ts';

const settings = (place: string) => ({ place }) as Parameters<typeof requirePlaceFit>[0];

it.each([
  ['in the media store', '/var/lib/media/backup', /lies in the media store/],
  ['the media store itself', '/var/lib/media', /lies in the media store/],
  ['below a folder that is not there', '/nonexistent/mount/media', /there is no \/nonexistent\/mount/],
])('a place for copies of media %s is refused', (_, place, message) => {
  expect(() => requirePlaceFit(settings(place), '/var/lib/media')).toThrow(message);
});

it.each([join(tmpdir(), 'media-copies'), '/var/lib/..media', 'sftp://backup@host/media'])(
  'a place like %s is fine',
  (place) => {
    expect(() => requirePlaceFit(settings(place), '/var/lib/media')).not.toThrow();
  },
);
