import { newestClient, saferClient } from '../database/index.ts';
import type { RestoreContext } from './context.ts';
import type { Check } from './step.ts';

/**
 * What read the dump: an old client lets whoever wrote it run code. A warning where somebody else may have, and no refusal:
 * docs/decisions/0009.
 */
export async function checkClient({
  source,
  target,
}: Pick<RestoreContext, 'source' | 'target'>): Promise<Check> {
  const { clientDirectory } = target;
  const check = { id: 'database.client', title: 'the client that read the dump has no known hole' };
  const { path, version } = await newestClient('pg_restore', clientDirectory);
  const safer = saferClient(version);
  if (safer === undefined) return { ...check, result: 'pass', observed: `${path} ${version}` };
  // A snapshot has its invariants, and is signed by the host that dumped it.
  const ours = source.invariants !== undefined;
  return {
    ...check,
    title: ours ? 'the client that read the dump' : check.title,
    result: ours ? 'pass' : 'warn',
    expected: `${safer} or newer`,
    observed: `${path} ${version}`,
    detail: [
      'A dump that somebody else has made could have run code. Update the PostgreSQL client packages.',
    ],
  };
}
