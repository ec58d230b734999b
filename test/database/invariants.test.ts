import { describe, expect, it } from 'vitest';
import {
  compareInvariants,
  pgRestoreArgv,
  psqlFileArgv,
  requireHarmlessContents,
} from '../../src/database/index.ts';

const MEASURED = {
  tableRows: { events: 10, e2e_one_time_keys_json: 4 },
  sequences: { events_stream_seq: 10 },
  indexes: ['events_pkey'],
  constraints: ['events.events_pkey'],
  triggers: [],
};
const WITHOUT = { withoutRows: ['e2e_one_time_keys_json'] };

describe('what was measured before and after', () => {
  it('is equal when only excluded rows are gone and sequences are ahead', () => {
    const after = {
      ...MEASURED,
      tableRows: { events: 10, e2e_one_time_keys_json: 0 },
      sequences: { events_stream_seq: 42 },
    };
    expect(compareInvariants(MEASURED, after, WITHOUT)).toEqual([]);
  });

  it('differs by a row, a lost table, rows that must not be there, a sequence behind, an index lost or added', () => {
    const after = {
      tableRows: { events: 9, e2e_one_time_keys_json: 4, extra: 0 },
      sequences: { events_stream_seq: 9 },
      indexes: ['other'],
      constraints: [],
      triggers: ['events.evil'],
    };
    const names = compareInvariants(MEASURED, after, WITHOUT).map(({ what, name }) => `${what} ${name}`);
    expect(names).toEqual([
      'rows e2e_one_time_keys_json',
      'rows events',
      'rows extra',
      'sequence events_stream_seq',
      'index events_pkey',
      'index other',
      'constraint events.events_pkey',
      'trigger events.evil',
    ]);
    expect(compareInvariants(MEASURED, { ...MEASURED, tableRows: {} }, WITHOUT)).toContainEqual(
      expect.objectContaining({ name: 'events', observed: 'no such table' }),
    );
  });
});

describe('the contents of an archive', () => {
  const listing = (entries: string) =>
    `;\n; Archive created at 2026-11-23\n;     dbname: synapse\n;\n${entries}`;

  it('may be what a homeserver has', () => {
    const entries =
      '217; 1259 16392 TABLE public events synapse\n3500; 0 16392 TABLE DATA public events synapse\n3; 0 0 SEQUENCE SET public s synapse\n';
    expect(() => requireHarmlessContents(listing(entries), 'a.dump')).not.toThrow();
  });

  it.each([
    'EVENT TRIGGER - evil postgres',
    'FOREIGN SERVER - away postgres',
    'PROCEDURE public run() postgres',
    'SUBSCRIPTION - s postgres',
  ])('may not be %s', (entry) => {
    expect(() => requireHarmlessContents(listing(`9; 3466 16400 ${entry}\n`), 'a.dump')).toThrow(
      /a\.dump holds entries/,
    );
  });
});

describe('restore commands', () => {
  it('stop at the first error and name no user, host or password', () => {
    expect(pgRestoreArgv('pg_restore', 'synapse', { file: '/d', jobs: 2 })).toEqual(
      expect.arrayContaining(['--exit-on-error', '--no-owner', '--no-privileges', '--jobs=2']),
    );
    expect(psqlFileArgv('psql', 'synapse', '/d')).toEqual(
      expect.arrayContaining(['--set=ON_ERROR_STOP=1', '--no-psqlrc', '--single-transaction']),
    );
  });
});
