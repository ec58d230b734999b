/** Longer lists stand in nobody's mail; the counts are exact. */
const LISTED = 1000;

export interface BoundedList {
  readonly listed: readonly string[];
  add(item: string): void;
  count(): number;
}

/** `always`: what is listed however long the list. */
export function boundedList(always: (item: string) => boolean = () => false): BoundedList {
  const listed: string[] = [];
  let count = 0;
  return {
    listed,
    add: (item) => {
      count += 1;
      if (listed.length < LISTED || always(item)) listed.push(item);
    },
    count: () => count,
  };
}

/** As a sentence for people, or nothing. */
export function told(list: BoundedList, what: string): string[] {
  return sentence(list.listed, list.count(), what);
}

export function sentence(listed: readonly string[], count: number, what: string): string[] {
  if (count === 0) return [];
  return [`${count} ${what}: ${listed.slice(0, 5).join(', ')}${count > 5 ? ', ...' : ''}`];
}
