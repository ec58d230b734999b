import { expect, it } from 'vitest';
import { restorePasses } from '../../src/database/index.ts';

const INDEX = '3301; 1259 17001 INDEX public events_order synapse';
const KEY = '3302; 2606 17002 CONSTRAINT public events events_pkey synapse';
const FOREIGN = '3303; 2606 17003 FK CONSTRAINT public receipts receipts_fkey synapse';
const TABLE = '217; 1259 16392 TABLE public events synapse';
const listing = (...entries: string[]): string =>
  ['; Archive created at 2026', ';', ...entries, ''].join('\n');

it('foreign keys of an archive without tables are made last, one after the other', () => {
  expect(restorePasses(listing(INDEX, FOREIGN, KEY))).toEqual([
    { list: `${INDEX}\n${KEY}\n`, parallel: true },
    { list: `${FOREIGN}\n`, parallel: false },
  ]);
});

it('an archive with its tables, and one without foreign keys, is restored at once', () => {
  expect(restorePasses(listing(TABLE, INDEX, FOREIGN))).toBeUndefined();
  expect(restorePasses(listing(INDEX, KEY))).toBeUndefined();
});
