import { expect, it } from 'vitest';
import { checkMajor } from '../../src/restore/postgres-major.ts';

it('says which PostgreSQL a copy lives on, and warns only of an older major than the snapshot is of', () => {
  expect(checkMajor('15.18', '15.20')).toMatchObject({ result: 'pass', observed: '15.20' });
  expect(checkMajor('15.18', '18.4')).toMatchObject({
    result: 'pass',
    observed: '18.4: a newer major than 15.18',
  });
  expect(checkMajor('18.4', '17.10')).toMatchObject({
    result: 'warn',
    observed: '17.10: an older major than 18.4',
  });
  expect(checkMajor(undefined, '15.18')).toMatchObject({ result: 'skip' });
});
