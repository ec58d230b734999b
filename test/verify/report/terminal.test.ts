import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderCheck, renderTerminal } from '../../../src/verify/report/index.ts';
import { failReport, hostile, passReport } from './fixture.ts';

const PLAIN = { color: false } as const;

describe('the report on a terminal', () => {
  it('begins with the verdict', () => {
    expect(renderTerminal(passReport, PLAIN)).toMatch(
      /^PASS {2}chat\.example\.org {2}snapshot 4f2a81c3, taken 2026-11-23 02:15:00 UTC\nRestored, started, and federating/,
    );
    expect(renderTerminal(failReport, PLAIN)).toMatch(
      /^FAIL {2}chat\.example\.org .*\n3 checks failed in step 2/,
    );
  });

  it('shows failures before warnings, and both before the table of steps', () => {
    const text = renderTerminal(failReport, PLAIN);
    const places = ['FAIL step 2', 'FAIL step 3', 'FAIL step 4', 'warn step 1', 'STEP '].map((part) =>
      text.indexOf(part),
    );
    expect(places.every((place) => place > 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(text).toContain(
      '       expected  0 rows without file\n       observed  2 rows without file\n       - local_content/aB/',
    );
  });

  it('names the checks that passed only when asked', () => {
    expect(renderTerminal(passReport, PLAIN)).not.toContain('every index is there');
    expect(renderTerminal(passReport, { ...PLAIN, verbose: true })).toContain(
      'ok   every index is there: 0 indexes missing',
    );
  });

  it('tells RTO and RPO, and no RTO of a server that did not come back', () => {
    expect(renderTerminal(passReport, PLAIN)).toContain(
      'RTO   1m 34s from "go" to "federates", without the checks\nRPO   2.3 s',
    );
    expect(renderTerminal(failReport, PLAIN)).toContain('RTO   not reached\n');
  });

  it('has colours only where they are wanted, and says the same without', () => {
    const coloured = renderTerminal(failReport, { color: true });
    expect(coloured).toContain('\u001b[');
    expect(stripVTControlCharacters(coloured)).toBe(renderTerminal(failReport, PLAIN));
    expect(renderTerminal(failReport, PLAIN)).not.toContain('\u001b');
  });

  it('lets no name move the cursor or turn the text around', () => {
    // oxlint-disable-next-line no-control-regex
    const harmful = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
    expect(renderTerminal(hostile(failReport), { ...PLAIN, verbose: true })).not.toMatch(harmful);
    for (const check of hostile(failReport).steps.flatMap(({ checks }) => checks)) {
      expect(renderCheck(check, PLAIN).join('\n')).not.toMatch(harmful);
    }
  });

  it('keeps one check on one line, and a failure with its findings below', () => {
    expect(renderCheck({ id: 'a.b', title: 'all is well', result: 'pass', observed: 'yes' }, PLAIN)).toEqual([
      'ok   all is well',
    ]);
    expect(
      renderCheck(
        {
          id: 'a.b',
          title: 'all is well',
          result: 'fail',
          expected: 'yes',
          observed: 'no',
          detail: ['look'],
        },
        PLAIN,
      ),
    ).toEqual(['FAIL all is well', '       expected  yes', '       observed  no', '       - look']);
  });
});
