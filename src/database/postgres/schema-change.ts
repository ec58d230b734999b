import { LifeboatError } from '../../core/errors.ts';

/** SQLSTATE, Postgres manual, appendix A: deadlock, lock time-out, and a table or column that a newer instant no longer has. */
const STATES = new Set(['40P01', '55P03', '42P01', '42703']);
/** It "does not exist" either, and never will. */
const NO_DATABASE = '3D000';
/** What pg_dump prints of the server's errors has no SQLSTATE. The last two: what it asks the catalogue ignores its snapshot. */
const MESSAGES =
  /LOCK TABLE|(?:lock|statement) timeout|deadlock detected|does not exist|cache lookup failed|could not open relation/i;

/**
 * Whether this came of a change of the schema beside a snapshot or a dump: an index that a homeserver's background update
 * builds or drops, a table of a migration. From a new snapshot the same can succeed.
 */
export function isSchemaChange(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof LifeboatError && cause.context['schema'] === true) return true;
    const { code } = cause as { code?: unknown };
    if (code === NO_DATABASE) return false;
    if ((typeof code === 'string' && STATES.has(code)) || MESSAGES.test(cause.message)) return true;
  }
  return false;
}
