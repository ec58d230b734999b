import { randomBytes } from 'node:crypto';
import { LifeboatError } from '../../core/errors.ts';
import type { ObjectStore } from '../port.ts';

export const RACERS = 16;

export interface Race {
  /** Writers that were told that they made the object. */
  readonly winners: number;
  /** What is read is what the winner wrote. */
  readonly kept: boolean;
}

/** Sixteen writers race for one key with contents of their own. Errors: those of the store. */
export async function race(clients: readonly ObjectStore[], key: string): Promise<Race> {
  const bodies = Array.from({ length: RACERS }, (_, racer) => Buffer.from(`racer ${racer}`));
  const results = await Promise.all(
    bodies.map((body, racer) => clients[racer % clients.length]!.put(key, body)),
  );
  const winners = bodies.filter((_, racer) => results[racer] === 'created');
  const read = Buffer.from(await clients[0]!.get(key));
  return { winners: winners.length, kept: winners.some((body) => read.equals(body)) };
}

/**
 * Does a store create only? Exactly one of sixteen may win, and what is read must be the winner's. Some servers that speak S3
 * ignore `If-None-Match`; two hosts would overwrite each other's log there.
 * Errors: `store-denied` when it does not, those of the store.
 */
export async function requireCreateOnly(store: ObjectStore): Promise<void> {
  const key = `probe-${randomBytes(8).toString('hex')}`;
  try {
    const { winners, kept } = await race([store], key);
    if (winners === 1 && kept) return;
    throw new LifeboatError(
      'store-denied',
      `${store.location} does not create only: ${winners} of ${RACERS} writers of one object were told that they made it`,
      {
        hint: 'Use a server that supports conditional writes (If-None-Match): AWS, MinIO, Ceph, versitygw. Two hosts would overwrite each other here.',
      },
    );
  } finally {
    // Credentials that only add leave a few bytes behind.
    await store.delete(key).catch(() => undefined);
  }
}
