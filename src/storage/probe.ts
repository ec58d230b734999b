import { randomBytes } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from './port.ts';

const RACERS = 16;

/**
 * Does a store create only? Sixteen writers race for one key with contents of their own: exactly one may win, and what is read
 * must be the winner's. Some servers that speak S3 ignore `If-None-Match`; two hosts would overwrite each other's log there.
 * Errors: `store-denied` when it does not, those of the store.
 */
export async function requireCreateOnly(store: ObjectStore): Promise<void> {
  const key = `probe-${randomBytes(8).toString('hex')}`;
  try {
    const bodies = Array.from({ length: RACERS }, (_, racer) => Buffer.from(`racer ${racer}`));
    const results = await Promise.all(bodies.map((body) => store.put(key, body)));
    const winners = bodies.filter((_, racer) => results[racer] === 'created');
    const read = Buffer.from(await store.get(key));
    if (winners.length === 1 && read.equals(winners[0]!)) return;
    throw new LifeboatError(
      'store-denied',
      `${store.location} does not create only: ${winners.length} of ${RACERS} writers of one object were told that they made it`,
      {
        hint: 'Use a server that supports conditional writes (If-None-Match): AWS, MinIO, Ceph, versitygw. Two hosts would overwrite each other here.',
      },
    );
  } finally {
    // Credentials that only add leave a few bytes behind.
    await store.delete(key).catch(() => undefined);
  }
}
