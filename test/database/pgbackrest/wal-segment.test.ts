import { describe, expect, it } from 'vitest';
import { segmentAfter, segmentAt, segmentsBetween } from '../../../src/database/pgbackrest/wal-segment.ts';

const MiB = 1024 * 1024;

describe('names of WAL segments', () => {
  it('are those that pg_walfile_name gives', () => {
    expect(segmentAt('00000001', '0/E000B28', 16 * MiB)).toBe('00000001000000000000000E');
    expect(segmentAt('00000002', '1A/FF000001', 16 * MiB)).toBe('000000020000001A000000FF');
    expect(segmentAt('00000001', '1/40000000', 1024 * MiB)).toBe('000000010000000100000001');
  });

  it('belong to the later segment where two meet: that is where the next record begins', () => {
    expect(segmentAt('00000001', '0/E000000', 16 * MiB)).toBe('00000001000000000000000E');
  });

  it('go on from one log to the next', () => {
    expect(segmentAfter('0000000100000000000000FF', 16 * MiB)).toBe('000000010000000100000000');
    expect(segmentsBetween('0000000100000000000000FE', '000000010000000100000001', 16 * MiB)).toEqual([
      '0000000100000000000000FE',
      '0000000100000000000000FF',
      '000000010000000100000000',
      '000000010000000100000001',
    ]);
  });

  it('are none between two timelines, and none backwards', () => {
    expect(segmentsBetween('000000010000000000000001', '000000020000000000000002', 16 * MiB)).toEqual([]);
    expect(segmentsBetween('000000010000000000000002', '000000010000000000000001', 16 * MiB)).toEqual([]);
  });
});
