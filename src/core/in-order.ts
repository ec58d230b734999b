/**
 * What `act` makes of each item, in the order of the items, with at most `limit` calls under way. `act` is called in order too.
 * The first error ends it, when the calls under way have ended.
 */
export async function* inOrder<Item, Made>(
  items: AsyncIterable<Item>,
  limit: number,
  act: (item: Item) => Promise<Made>,
): AsyncGenerator<{ readonly item: Item; readonly made: Made }> {
  const running: { readonly item: Item; readonly made: Promise<Made> }[] = [];
  try {
    for await (const item of items) {
      const made = act(item);
      // Its error is thrown when its turn comes; until then it is nobody's.
      made.catch(() => undefined);
      running.push({ item, made });
      if (running.length >= limit) yield await next(running);
    }
    while (running.length > 0) yield await next(running);
  } finally {
    await Promise.allSettled(running.map(({ made }) => made));
  }
}

async function next<Item, Made>(
  running: { readonly item: Item; readonly made: Promise<Made> }[],
): Promise<{ readonly item: Item; readonly made: Made }> {
  const { item, made } = running[0]!;
  const result = { item, made: await made };
  running.shift();
  return result;
}
