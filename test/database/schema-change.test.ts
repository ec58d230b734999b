import { describe, expect, it } from 'vitest';
import { isSchemaChange } from '../../src/database/index.ts';

const failed = (message: string, code?: string): Error =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

describe('a failure that comes of a change of the schema is told from others:', () => {
  it.each([
    ['a dropped table', failed('relation "public.t" does not exist', '42P01')],
    ['a dropped column', failed('column "c" does not exist', '42703')],
    ['a deadlock', failed('deadlock detected', '40P01')],
    ['pg_dump behind a lock', failed('pg_dump: error: query was: LOCK TABLE public.t IN ACCESS SHARE MODE')],
    [
      'pg_dump and a dropped index',
      failed('pg_dump: error: query failed: ERROR:  cache lookup failed for index 1'),
    ],
    ['pg_dump and a dropped table', failed('ERROR:  could not open relation with OID 17000')],
    ['its cause', new Error('dumping home failed', { cause: failed('x', '40P01') })],
  ])('%s is one', (_what, error) => expect(isSchemaChange(error)).toBe(true));

  it.each([
    ['a full disk', failed('could not write: No space left on device')],
    ['a lost connection', failed('server closed the connection unexpectedly')],
    ['no permission', failed('permission denied for table t', '42501')],
    ['a database that is not there', failed('database "nowhere" does not exist', '3D000')],
    ['no error at all', undefined],
  ])('%s is none', (_what, error) => expect(isSchemaChange(error)).toBe(false));
});
