/**
 * Runs tasks beside each other. The first that fails ends the others by the signal that all are given; when every one of them is
 * over, it rejects with that first error, not with what its end has done to the others. A task that knows of its failure
 * before it is over calls `stop`.
 */
export async function allOrNone<
  const Tasks extends readonly ((signal: AbortSignal, stop: () => void) => Promise<unknown>)[],
>(
  outer: AbortSignal | undefined,
  tasks: Tasks,
): Promise<{ -readonly [Key in keyof Tasks]: Awaited<ReturnType<Tasks[Key]>> }> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  const results = await Promise.all(
    tasks.map(async (task) => {
      try {
        return await task(signal, () => stop.abort());
      } catch (error) {
        failure ??= { error };
        stop.abort();
        return undefined;
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
  return results as { -readonly [Key in keyof Tasks]: Awaited<ReturnType<Tasks[Key]>> };
}
