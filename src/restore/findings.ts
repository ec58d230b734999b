import type { Check } from './step.ts';

/** How many names a report carries; the count is always exact. */
const NAMED = 20;

/** Counts findings and remembers the first names of them, so that a million missing files do not fill the memory. */
export interface Findings {
  add(name: string): void;
  readonly count: number;
  readonly names: readonly string[];
}

export function collectFindings(): Findings {
  const names: string[] = [];
  let count = 0;
  return {
    add: (name) => {
      count += 1;
      if (names.length < NAMED) names.push(name);
    },
    get count() {
      return count;
    },
    get names() {
      return names;
    },
  };
}

/** Passes when nothing was found; otherwise names what was. */
export function noneFound(
  check: Pick<Check, 'id' | 'title'>,
  found: Findings,
  options: { readonly unit: string; readonly otherwise?: 'fail' | 'warn'; readonly advice?: string },
): Check {
  const detail = [...found.names];
  if (found.count > detail.length) detail.push(`... and ${found.count - detail.length} more`);
  if (options.advice !== undefined && found.count > 0) detail.push(options.advice);
  return {
    ...check,
    result: found.count === 0 ? 'pass' : (options.otherwise ?? 'fail'),
    expected: `0 ${options.unit}`,
    observed: `${found.count} ${options.unit}`,
    detail,
  };
}

/** Passes when both are the same text. */
export function same(
  check: Pick<Check, 'id' | 'title'>,
  expected: string,
  observed: string,
  advice?: string,
): Check {
  const equal = expected === observed;
  return {
    ...check,
    result: equal ? 'pass' : 'fail',
    expected,
    observed,
    detail: equal || advice === undefined ? [] : [advice],
  };
}
