import { LifeboatError } from '../core/errors.ts';
import {
  clientEnvironment,
  pgListArgv,
  requireHarmlessContents,
  withPasswordFile,
} from '../database/index.ts';
import type { RestoreContext } from './context.ts';
import { requireOwnCode } from './dump-code.ts';

/**
 * What an archive says that it holds, before any of it is loaded. `file` may be the beginning of one, with all of its table of
 * contents. Errors: `archive-unsafe`, `database-restore-failed` when pg_restore cannot read it.
 */
export async function requireGoodContents(
  pgRestore: string,
  { file, called }: { readonly file: string; readonly called: string },
  context: RestoreContext,
): Promise<string> {
  const listing = await runClient(context, pgListArgv(pgRestore, file), 'reading the contents of the dump');
  requireHarmlessContents(listing, called);
  requireOwnCode(listing, context);
  return listing;
}

/** The first thing that pg_restore 17 says to a server, and older ones do not know (measured: 18.4 on 13 to 16). */
const TOO_NEW_FOR_SERVER = /unrecognized configuration parameter "transaction_timeout"/;

/** pg_restore and psql must end with 0 and say nothing: "errors ignored on restore: 5" is a database with five holes. */
export async function runClient(
  context: RestoreContext,
  argv: readonly string[],
  what: string,
): Promise<string> {
  const { database } = context.target;
  const result = await withPasswordFile(database, (passwordEnv) =>
    context.exec({ argv, env: { ...clientEnvironment(database, 'lifeboat:restore'), ...passwordEnv } }),
  );
  const said = result.stderr.trim();
  if (result.exitCode === 0 && said === '') return result.stdout;
  throw new LifeboatError(
    'database-restore-failed',
    `${what} failed (status ${result.exitCode}): ${said.split('\n').slice(0, 5).join(' / ') || 'no message'}`,
    {
      hint: TOO_NEW_FOR_SERVER.test(said)
        ? 'pg_restore 17 and newer speak to PostgreSQL 17 and newer only: restore into such a server, or, if the dump was made by an older pg_dump, name the directory of an older pg_restore as database.client_directory.'
        : 'The dump does not restore. Try an older snapshot, and back up again soon.',
    },
  );
}
