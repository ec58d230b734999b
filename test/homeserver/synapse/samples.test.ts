import { expect, it } from 'vitest';
import type { PostgresSession } from '../../../src/database/port.ts';
import { drawSamples } from '../../../src/homeserver/synapse/samples.ts';

it('media that had no file at backup time already are not asked for, and five others are', async () => {
  const rows = Array.from({ length: 30 }, (_, index) => ({
    mediaId: `aabbmedia${index}`,
    sha256: null,
    sizeBytes: 1,
  }));
  const session: Pick<PostgresSession, 'stream'> & { query: () => Promise<never[]> } = {
    query: async () => [],
    stream: async function* <T>() {
      yield* rows as unknown as T[];
    },
  };
  const missing = new Set(rows.slice(0, 20).map(({ mediaId }) => `local_content/aa/bb/${mediaId.slice(4)}`));
  const { media } = await drawSamples(session as unknown as PostgresSession, 'example.org', missing);
  expect(media).toEqual(rows.slice(20, 25));
});
