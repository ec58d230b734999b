import { describe, expect, it } from 'vitest';
import { renderMarkdown } from '../../../src/verify/report/index.ts';
import { failReport, hostile, passReport } from './fixture.ts';

describe('the Markdown report', () => {
  it('begins with the verdict and has a row for each step', () => {
    const text = renderMarkdown(passReport);
    expect(text).toMatch(/^## ✅ PASS: drill of chat\.example\.org\n\n\*\*Restored, started/);
    expect(text).toContain('| ✅ | 6 Test federation | 2 ms | 16.4 s | 10 passed |');
  });

  it('names what failed, with expected and observed', () => {
    const text = renderMarkdown(failReport);
    expect(text).toContain('### ❌ Step 2: each of 18412 media rows');
    expect(text).toContain('- observed: 2 rows without file\n- local\\_content/aB/cD/efGhIjKlMnOpQrStUv');
  });

  it('mentions nobody, links nowhere and stays in its tables, whatever names say', () => {
    const text = renderMarkdown(hostile(failReport)).replace(/(`+) .*? \1/g, '');
    expect(text).not.toMatch(/<(?!\/?(?:details|summary|sub)>)/);
    expect(text).not.toMatch(/@room|(?<!\\)#1|(?<!\\)\]\(|:\/\//);
    const rows = text.split('\n').filter((line) => line.startsWith('| '));
    for (const row of rows)
      expect(row.replaceAll('\\|', '').split('|').length).toSatisfy((cells) => cells === 7 || cells === 10);
    expect(text.split('\n').filter((line) => line.startsWith('# '))).toEqual([]);
  });
});
