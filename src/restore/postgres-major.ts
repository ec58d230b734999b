import type { Check } from './step.ts';

/**
 * On which PostgreSQL the copy lives. A newer major than the snapshot's is what an upgrade will bring, and is said;
 * an older one is no way that PostgreSQL promises. Pure; versions are `15.18`.
 */
export function checkMajor(taken: string | undefined, running: string): Check {
  const check = {
    id: 'database.postgres-major',
    title: 'PostgreSQL is of the major of the snapshot, or newer',
  };
  if (taken === undefined) return { ...check, result: 'skip', observed: `${running}; the dump does not say` };
  const [before, now] = [Number.parseInt(taken, 10), Number.parseInt(running, 10)];
  const expected = `${before} or newer`;
  if (now === before) return { ...check, result: 'pass', expected, observed: running };
  if (now > before)
    return { ...check, result: 'pass', expected, observed: `${running}: a newer major than ${taken}` };
  return {
    ...check,
    result: 'warn',
    expected,
    observed: `${running}: an older major than ${taken}`,
    detail: ['PostgreSQL promises restores into the same or a newer major only.'],
  };
}
