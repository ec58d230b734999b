import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { EXIT_MEANING } from '../../src/cli/exit.ts';
import { ERROR_TABLE, EXIT } from '../../src/core/errors.ts';
import { renderManual } from './manual.ts';

const REFERENCE = new URL('../../docs/reference/', import.meta.url).pathname;

/** Cells of the rows of all tables whose first cell is in backquotes. */
function rows(page: string): string[][] {
  return [...page.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)].map(([, first, rest]) => [
    first!,
    ...rest!.split('|').map((cell) => cell.trim()),
  ]);
}

describe('the reference', () => {
  it('has the help of every command, as it is printed', async () => {
    await expect(renderManual()).toMatchFileSnapshot(`${REFERENCE}commands.md`);
  });

  it('lists every exit status with its meaning, and no other', async () => {
    const page = await readFile(`${REFERENCE}exit-codes.md`, 'utf8');
    const statuses = rows(page).filter(([first]) => /^\d+$/.test(first!));
    const expected = Object.entries(EXIT).map(([name, status]) => [
      String(status),
      EXIT_MEANING[name as keyof typeof EXIT],
    ]);
    expect(statuses.map(([status, meaning]) => [status, meaning])).toEqual(expected);
  });

  it('lists every error code with its exit status and whether a retry can help, and no other', async () => {
    const page = await readFile(`${REFERENCE}exit-codes.md`, 'utf8');
    const codes = rows(page).filter(([first]) => !/^\d+$/.test(first!));
    const expected = Object.entries(ERROR_TABLE).map(([code, { exit, retry }]) => [
      code,
      String(exit),
      retry === 'transient' ? 'yes' : 'no',
    ]);
    expect(codes.map(([code, exit, retry]) => [code, exit, retry])).toEqual(expected);
    for (const [code, , , meaning] of codes) expect(meaning, code).toMatch(/^.{20,}\.$/);
  });
});
