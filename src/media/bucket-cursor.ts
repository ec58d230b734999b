import type { BucketObject, BucketReader } from '../storage/bucket.ts';
import { comparePaths } from './walk.ts';

/** Looks objects up by their keys, at best a thousand for one request: those that come in the order of keys. */
export interface BucketCursor {
  /** As a listing of a moment ago had it. */
  find(key: string): Promise<BucketObject | undefined>;
}

interface Known {
  /** All objects after `after`, up to `upTo` (undefined: to the end), are in `objects`. */
  readonly after: string;
  readonly upTo: string | undefined;
  readonly objects: ReadonlyMap<string, BucketObject>;
}

/** Holds one page of the listing. */
export function createBucketCursor(bucket: BucketReader, prefix: string): BucketCursor {
  let known: Known | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const covers = ({ after, upTo }: Known, key: string): boolean =>
    comparePaths(after, key) < 0 && (upTo === undefined || comparePaths(key, upTo) <= 0);

  const find = async (key: string): Promise<BucketObject | undefined> => {
    if (known === undefined || !covers(known, key)) {
      for (let after = closestBefore(key, known?.upTo); ; after = known.upTo!) {
        const { objects, more } = await bucket.page(prefix, after);
        const upTo = more ? objects.at(-1)!.key : undefined;
        known = { after, upTo, objects: new Map(objects.map((object) => [object.key, object])) };
        if (covers(known, key)) break;
      }
    }
    return known.objects.get(key);
  };

  return {
    // One after the other: the next key is mostly on the page that this one fetches.
    find: (key) => {
      const found = last.then(
        () => find(key),
        () => find(key),
      );
      last = found.catch(() => undefined);
      return found;
    },
  };
}

/** A listing begins after a key: the one without its last letter comes before it, with little between. So may `seen`. */
function closestBefore(key: string, seen: string | undefined): string {
  const cut = key.slice(0, -1);
  return seen !== undefined && comparePaths(cut, seen) < 0 && comparePaths(seen, key) < 0 ? seen : cut;
}
