import { newestClient, saferClient } from '../database/index.ts';
import type { Check } from './step.ts';

/** What read the dump: an old client lets whoever wrote it run code. A warning, no refusal: docs/decisions/0009. */
export async function checkClient(clientDirectory: string | undefined): Promise<Check> {
  const check = { id: 'database.client', title: 'the client that read the dump has no known hole' };
  const { path, version } = await newestClient('pg_restore', clientDirectory);
  const safer = saferClient(version);
  if (safer === undefined) return { ...check, result: 'pass', observed: `${path} ${version}` };
  return {
    ...check,
    result: 'warn',
    expected: `${safer} or newer`,
    observed: `${path} ${version}`,
    detail: [
      'A dump that somebody else has made could have run code. Update the PostgreSQL client packages.',
    ],
  };
}
