import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import { setbackOf } from '../../src/database/index.ts';

const failed = (message: string, code?: string): Error =>
  Object.assign(new Error(message), code === undefined ? {} : { code });
const dumpFailed = (said: string) =>
  new LifeboatError('database-dump-failed', `dumping home failed: ${said}`);

describe('a failure that a new snapshot can mend is told from others:', () => {
  it.each([
    ['lock', 'our own time-out', failed('canceling statement due to lock timeout', '55P03')],
    [
      'lock',
      'that of pg_dump',
      dumpFailed(
        'ERROR:  canceling statement due to statement timeout\nquery was: LOCK TABLE public.t IN ACCESS SHARE MODE',
      ),
    ],
    ['standby', 'a query', failed('canceling statement due to conflict with recovery', '40001')],
    ['standby', 'a session', failed('terminating connection due to conflict with recovery', '40001')],
    ['standby', 'pg_dump', dumpFailed('ERROR:  canceling statement due to conflict with recovery')],
    ['lost', 'a restart', failed('terminating connection due to administrator command', '57P01')],
    ['lost', 'pg_dump and a crash', dumpFailed('error: server closed the connection unexpectedly')],
    ['schema', 'a dropped table', failed('relation "public.t" does not exist', '42P01')],
    ['schema', 'its cause', new Error('dumping home failed', { cause: failed('x', '40P01') })],
  ])('%s: %s', (setback, _what, error) => expect(setbackOf(error)).toBe(setback));

  it.each([
    ['a full disk', dumpFailed('could not write: No space left on device')],
    ['no permission', failed('permission denied for table t', '42501')],
    ['a server that is not there', failed('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED')],
    ['no error at all', undefined],
  ])('none: %s', (_what, error) => expect(setbackOf(error)).toBeUndefined());
});
