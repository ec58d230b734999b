import { LifeboatError } from '../../core/errors.ts';

/**
 * Kinds of table-of-contents entries that a homeserver's dump has. Anything else (event triggers, foreign servers,
 * procedures ...) could run code of the dump's author and stops the restore. DATABASE PROPERTIES and ACL are harmless
 * because pg_restore runs with --no-privileges and without --create.
 */
const HARMLESS = new Set([
  'ACL',
  'CHECK CONSTRAINT',
  'COMMENT',
  'CONSTRAINT',
  'DATABASE',
  'DATABASE PROPERTIES',
  'DEFAULT',
  'DEFAULT ACL',
  'ENCODING',
  'EXTENSION',
  'FK CONSTRAINT',
  'FUNCTION',
  'INDEX',
  'INDEX ATTACH',
  'MATERIALIZED VIEW',
  'MATERIALIZED VIEW DATA',
  'SCHEMA',
  'SEARCHPATH',
  'SEQUENCE',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'STATISTICS',
  'STDSTRINGS',
  'TABLE',
  'TABLE ATTACH',
  'TABLE DATA',
  'TRIGGER',
  'TYPE',
  'VIEW',
]);

export function pgListArgv(pgRestore: string, file: string): string[] {
  return [pgRestore, '--list', file];
}

/** Reads the output of `pg_restore --list`. Errors: `archive-unsafe` naming the entries. Pure. */
export function requireHarmlessContents(listing: string, file: string): void {
  const strange = listing
    .split('\n')
    .filter((line) => /^\d+; /.test(line))
    .filter((line) => !isHarmless(line));
  if (strange.length === 0) return;
  throw new LifeboatError(
    'archive-unsafe',
    `${file} holds entries that no homeserver's dump has: ${strange.slice(0, 5).join(' | ')}`,
    {
      hint: 'Look at it with `pg_restore --list`; restore it by hand if you trust it.',
      context: { file, entries: strange.length },
    },
  );
}

/** `217; 1259 16392 TABLE public events synapse`: the kind is one to three words in capitals after two numbers. */
function isHarmless(line: string): boolean {
  const rest = line.replace(/^\d+; \d+ \d+ /, '');
  return [...HARMLESS].some((kind) => rest.startsWith(`${kind} `));
}

/**
 * Passes over one archive, each as a list for `--use-list`. A foreign key locks two tables. pg_restore keeps apart those that share
 * one, by the tables that the archive holds; one of post-data alone holds none, and its jobs were seen to deadlock: there
 * foreign keys come last, one after the other. Undefined: all at once. Pure.
 */
export function restorePasses(
  listing: string,
): readonly { readonly list: string; readonly parallel: boolean }[] | undefined {
  const entries = listing.split('\n').filter((line) => /^\d+; /.test(line));
  const isForeignKey = (line: string): boolean => / FK CONSTRAINT /.test(line);
  if (!entries.some(isForeignKey) || entries.some((line) => /^\d+; \d+ \d+ TABLE /.test(line)))
    return undefined;
  const listOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
  return [
    { list: listOf(entries.filter((line) => !isForeignKey(line))), parallel: true },
    { list: listOf(entries.filter(isForeignKey)), parallel: false },
  ];
}

/**
 * Connection comes by environment. `--exit-on-error`, because pg_restore otherwise goes on and loses tables quietly. Without
 * `from` the archive comes on standard input, and is loaded in one pass by one process.
 */
export function pgRestoreArgv(
  pgRestore: string,
  database: string,
  from?: { readonly file: string; readonly jobs: number; readonly list?: string },
): string[] {
  return [
    pgRestore,
    '--no-password',
    '--exit-on-error',
    '--no-owner',
    '--no-privileges',
    `--dbname=${database}`,
    ...(from === undefined ? [] : [`--jobs=${from.jobs}`]),
    ...(from?.list === undefined ? [] : [`--use-list=${from.list}`]),
    ...(from === undefined ? [] : [from.file]),
  ];
}

/**
 * For plain SQL. psql runs shell commands (`\!`) that a hostile dump contains, so this is for a sealed environment only.
 * Without ON_ERROR_STOP a cut dump ends with status 0 and no rows.
 */
export function psqlFileArgv(psql: string, database: string, file: string): string[] {
  return [
    psql,
    '--no-password',
    '--no-psqlrc',
    '--quiet',
    '--set=ON_ERROR_STOP=1',
    '--single-transaction',
    '--output=/dev/null',
    `--dbname=${database}`,
    `--file=${file}`,
  ];
}
