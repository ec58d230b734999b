import { comparePaths } from './walk.ts';

/** Two listings in path order as one; of a path that is in both, the first's. Holds one of each. */
export async function* mergeByPath<Item extends { readonly path: string }>(
  first: AsyncIterable<Item>,
  second: AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const [left, right] = [first[Symbol.asyncIterator](), second[Symbol.asyncIterator]()];
  try {
    let [a, b] = [await left.next(), await right.next()];
    while (a.done !== true || b.done !== true) {
      const order = a.done === true ? 1 : b.done === true ? -1 : comparePaths(a.value.path, b.value.path);
      yield order <= 0 ? a.value : b.value;
      if (order <= 0) a = await left.next();
      if (order >= 0) b = await right.next();
    }
  } finally {
    await left.return?.();
    await right.return?.();
  }
}
