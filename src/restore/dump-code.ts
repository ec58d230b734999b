import { LifeboatError } from '../core/errors.ts';
import { codeInDatabase, codeInListing, type DatabaseCode } from '../database/index.ts';
import type { PostgresSession } from '../database/port.ts';
import { isOwnCode } from '../homeserver/index.ts';
import type { RestoreContext } from './context.ts';
import type { Check } from './step.ts';

/** Names that a message carries. */
const NAMED = 5;
const ADVICE =
  'Look at it with `pg_restore --list` and in the database: somebody may have tampered with the dump.';

/**
 * A real restore loads no code that the homeserver's schema does not have, unless its admin says so; a sealed drill loads it
 * and warns. Errors: `archive-unsafe` naming it.
 */
export function requireOwnCode(listing: string, { target, allowCode }: RestoreContext): void {
  if (target.sealed || allowCode === true) return;
  const strange = foreignCode(codeInListing(listing));
  if (strange.length === 0) return;
  throw new LifeboatError(
    'archive-unsafe',
    `the dump brings code that the homeserver's schema does not have: ${strange.slice(0, NAMED).join(', ')}`,
    {
      hint: 'If you have put it into the database yourself, repeat with --allow-code; else use an older snapshot.',
      context: { entries: strange.length },
    },
  );
}

/** What has come into the database, whatever the archive said of itself. */
export async function checkCode(session: PostgresSession, context: RestoreContext): Promise<Check> {
  const check = { id: 'database.code', title: 'no function, trigger or extension but the homeserver’s own' };
  const strange = foreignCode(await codeInDatabase(session));
  if (strange.length === 0) return { ...check, result: 'pass', observed: 'none' };
  const { target, allowCode } = context;
  return {
    ...check,
    result: target.sealed || allowCode === true ? 'warn' : 'fail',
    expected: 'none',
    observed: `${strange.length}: ${strange.slice(0, NAMED).join(', ')}`,
    detail: [ADVICE],
  };
}

function foreignCode(code: readonly DatabaseCode[]): string[] {
  return code.filter((one) => !isOwnCode(one)).map(({ kind, name }) => `${kind} ${name}`);
}
