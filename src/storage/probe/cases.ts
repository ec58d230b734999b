import { createHash, randomBytes } from 'node:crypto';
import { eachConcurrently } from '../../core/each-concurrently.ts';
import { isLifeboatError } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import type { ObjectStat, ObjectStore } from '../port.ts';
import { race, RACERS } from './create-only.ts';

/** Where a case writes: keys of its own below the prefix, which ends in a slash. */
export interface ProbeGround {
  readonly store: ObjectStore;
  /** A second client of the same place. */
  readonly another: ObjectStore;
  readonly prefix: string;
  /** Objects for a listing of several pages; few where the bucket would keep them for days. */
  readonly listed: number;
}

/** What was seen; `works` false when it is not what Lifeboat needs. */
export interface Observation {
  readonly works: boolean;
  readonly observed: string;
}

export interface ProbeCase {
  readonly title: string;
  /** Nothing can be backed up safely without it. */
  readonly needed: boolean;
  /** For Lifeboat, when it works and when it does not. */
  readonly means: string;
  readonly without: string;
  readonly look: (ground: ProbeGround) => Promise<Observation>;
}

const SIZES = [0, 1, 65_536, 3_000_000];
const AT_ONCE = 20;
/** Above it a host is warned; S3 refuses requests at 15 minutes. */
const MOST_CLOCK_DIFFERENCE_MS = 5 * 60_000;

/** The core of test/contract/object-store.ts, against a place of the user's own. */
export const PROBE_CASES: readonly ProbeCase[] = [
  {
    title: 'write and read',
    needed: true,
    means: 'what is stored can be restored',
    without: 'what is stored cannot be restored',
    async look({ store, prefix }) {
      for (const size of SIZES) {
        const [key, body] = [`${prefix}size-${size}`, randomBytes(size)];
        if ((await store.put(key, body)) !== 'created')
          return failed(`a new object of ${size} bytes was said to exist`);
        if (sha256(await store.get(key)) !== sha256(body)) return failed(`${size} bytes came back changed`);
      }
      return works(
        `objects of ${SIZES.map((size) => size.toLocaleString('en')).join(', ')} bytes came back as they were`,
      );
    },
  },
  {
    title: 'read after write',
    needed: true,
    means: 'hosts see each other’s snapshots at once',
    without: 'a host may miss a record that another has just written',
    async look({ store, another, prefix }) {
      for (let round = 0; round < 5; round += 1) {
        const key = `${prefix}fresh-${round}`;
        await store.put(key, Buffer.from(key));
        if ((await another.stat(key))?.sizeBytes !== key.length)
          return failed('a second client did not find a new object');
        const keys = (await listed(another, `${prefix}fresh-`)).map((stat) => stat.key);
        if (!keys.includes(key)) return failed('a second client did not list a new object');
      }
      return works('a second client found, read and listed 5 of 5 new objects at once');
    },
  },
  {
    title: 'create only',
    needed: true,
    means: 'no host overwrites what another has written',
    without: 'hosts overwrite each other’s log: use another server',
    async look({ store, another, prefix }) {
      const key = `${prefix}once`;
      await store.put(key, Buffer.from('first'));
      const second = await another.put(key, Buffer.from('second'));
      const kept = Buffer.from(await another.get(key)).toString() === 'first';
      return {
        works: second === 'exists' && kept,
        observed: kept ? `the second writer was told: ${second}` : 'the second writer replaced the object',
      };
    },
  },
  {
    title: `${RACERS} writers at once`,
    needed: true,
    means: 'two backups that end at the same time both stand in the log',
    without: 'hosts overwrite each other’s log: use another server',
    async look({ store, another, prefix }) {
      const { winners, kept } = await race([store, another], `${prefix}race`);
      return {
        works: winners === 1 && kept,
        observed: `${winners} of ${RACERS} were told that they made the object${kept ? '' : ', and another’s content is there'}`,
      };
    },
  },
  {
    title: 'parts of objects',
    needed: true,
    means: 'a part of a snapshot is restored without reading all of it',
    without: 'reading stops with an error, or reads wrong bytes',
    async look({ store, prefix }) {
      const [key, body] = [`${prefix}range`, Buffer.from('0123456789')];
      await store.put(key, body);
      for (const [offset, length] of [
        [0, 4],
        [3, 4],
        [8, 100],
        [10, 5],
      ] as const) {
        const part = Buffer.from(await store.get(key, { offset, length })).toString();
        if (part !== body.subarray(offset, offset + length).toString())
          return failed(`bytes from ${offset} were ${JSON.stringify(part)}`);
      }
      return works('4 of 4 ranges were right');
    },
  },
  {
    title: 'list',
    needed: true,
    means: 'every object is found, however many there are',
    without: 'prune and check would not see all objects',
    async look({ store, prefix, listed: count }) {
      const keys = Array.from({ length: count }, (_, at) => `${prefix}list-${String(at).padStart(5, '0')}`);
      await eachConcurrently(keys, AT_ONCE, async (key) => void (await store.put(key, Buffer.from('x'))));
      const found = (await listed(store, `${prefix}list-`)).map(({ key }) => key);
      const right = found.length === count && new Set(found).size === count;
      return { works: right, observed: `${found.length} of ${count} objects were listed` };
    },
  },
  {
    title: 'what is missing',
    needed: true,
    means: 'a lost object is told from a broken line',
    without: 'a lost object would look like a server that cannot be reached',
    async look({ store, prefix }) {
      const key = `${prefix}never`;
      const said = await store.get(key).then(
        () => 'bytes',
        (error: unknown) => (isLifeboatError(error) ? error.code : 'another error'),
      );
      const right = said === 'object-missing' && (await store.stat(key)) === undefined;
      return { works: right, observed: `reading an object that was never written gave: ${said}` };
    },
  },
  {
    title: 'delete',
    needed: false,
    means: 'prune may run with these credentials',
    without: 'append-only: prune must run with credentials that may delete',
    async look({ store, prefix }) {
      const key = `${prefix}deleted`;
      await store.put(key, Buffer.from('x'));
      try {
        await store.delete(key);
        await store.delete(key);
      } catch (error) {
        if (isLifeboatError(error, 'store-denied') || isLifeboatError(error, 'object-locked'))
          return failed(error.message);
        throw error;
      }
      if ((await store.stat(key)) !== undefined) return failed('the object is still there');
      return works('an object was deleted, and deleting it again was no error');
    },
  },
  {
    title: 'clock',
    needed: false,
    means: 'times of snapshots are right, and retention counts from the right day',
    without: 'set the clocks by NTP: retention goes by the store’s time',
    async look({ store, prefix }) {
      const key = `${prefix}clock`;
      const before = Date.now();
      await store.put(key, Buffer.from('x'));
      const after = Date.now();
      const stored = (await store.stat(key))?.modified.getTime() ?? 0;
      // Stores tell whole seconds, cut off.
      const behind = Math.max(0, before - 1000 - stored);
      const ahead = Math.max(0, stored - after);
      const difference = Math.max(behind, ahead);
      const side = behind > ahead ? 'behind' : 'ahead';
      return {
        works: difference <= MOST_CLOCK_DIFFERENCE_MS,
        observed:
          difference < 1000 ? 'the same as here' : `the store is ${formatDuration(difference)} ${side}`,
      };
    },
  },
];

export async function listed(store: ObjectStore, prefix: string): Promise<ObjectStat[]> {
  const stats: ObjectStat[] = [];
  for await (const stat of store.list(prefix)) stats.push(stat);
  return stats;
}

function works(observed: string): Observation {
  return { works: true, observed };
}

function failed(observed: string): Observation {
  return { works: false, observed };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
