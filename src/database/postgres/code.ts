import type { PostgresSession } from '../port.ts';

/** What runs by itself, or by the next statement of whoever uses the database. */
export interface DatabaseCode {
  readonly kind: 'event trigger' | 'extension' | 'function' | 'rule' | 'trigger';
  readonly name: string;
}

/**
 * Entries of `pg_restore --list` that bring code, before any of it is loaded:
 * `230; 1255 16400 FUNCTION public f() owner`, `99; 2620 16500 TRIGGER public table name owner`, `2; 3079 16384 EXTENSION - name`.
 * Whoever wrote the archive wrote its list too: `codeInDatabase` says what has come of it. Pure.
 */
export function codeInListing(listing: string): DatabaseCode[] {
  return listing.split('\n').flatMap((line): DatabaseCode[] => {
    const entry = line.replace(/^\d+; \d+ \d+ /, '');
    if (entry === line) return [];
    const [, called] = /^FUNCTION \S+ ([^(]*)/.exec(entry) ?? [];
    if (called !== undefined) return [{ kind: 'function', name: called }];
    const [, trigger] = /^TRIGGER \S+ \S+ (\S+)/.exec(entry) ?? [];
    if (trigger !== undefined) return [{ kind: 'trigger', name: trigger }];
    const [, extension] = /^EXTENSION \S+ (\S+)/.exec(entry) ?? [];
    return extension === undefined ? [] : [{ kind: 'extension', name: extension }];
  });
}

/** All code in the database that PostgreSQL does not bring itself; what belongs to an extension counts as the extension. */
export async function codeInDatabase(session: PostgresSession): Promise<DatabaseCode[]> {
  return await session.query<DatabaseCode & Record<string, unknown>>(
    `SELECT 'extension' AS kind, extname::text AS name FROM pg_extension
     UNION SELECT 'event trigger', evtname::text FROM pg_event_trigger
     UNION SELECT 'trigger', tgname::text FROM pg_trigger WHERE NOT tgisinternal
     UNION SELECT 'rule', rulename::text FROM pg_rules WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
     UNION SELECT 'function', proname::text FROM pg_proc p
       WHERE p.pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))
         AND NOT EXISTS (SELECT FROM pg_depend d
           WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
     ORDER BY 1, 2`,
  );
}
