import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;

/** Tracked files, and new ones that git would not ignore. */
async function projectFiles(): Promise<string[]> {
  const { stdout } = await promisify(execFile)(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard'],
    { cwd: ROOT },
  );
  const files = [...new Set(stdout.trim().split('\n'))];
  const there = await Promise.all(files.map((file) => exists(join(ROOT, file))));
  return files.filter((_, index) => there[index]);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Targets of `[text](target)` in Markdown that are neither addresses nor anchors of the same page; code is no text. */
function relativeLinks(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^(?:[a-z]+:|#)/.test(target));
}

/** The anchors that GitHub gives to a page's headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the documentation', () => {
  it('has only links that lead somewhere', async () => {
    const pages = (await projectFiles()).filter((file) => file.endsWith('.md'));
    expect(pages).toContain('README.md');
    const dead: string[] = [];
    for (const page of pages) {
      for (const link of relativeLinks(await readFile(join(ROOT, page), 'utf8'))) {
        const [path, anchor] = link.split('#') as [string, string?];
        const target = join(ROOT, dirname(page), path);
        const found =
          (await exists(target)) &&
          (anchor === undefined || anchorsOf(await readFile(target, 'utf8')).includes(anchor));
        if (!found) dead.push(`${page}: ${link}`);
      }
    }
    expect(dead).toEqual([]);
  });

  it('would notice a dead link', () => {
    expect(
      relativeLinks('See [a](b.md#c), `[no](code.md)`, [web](https://example.org) and [here](#x).'),
    ).toEqual(['b.md#c']);
    expect(anchorsOf('## Keys, and who holds them\n')).toEqual(['keys-and-who-holds-them']);
  });
});

describe('the files of the project', () => {
  // With an escape each, so that this file does not find itself.
  const MACHINE = /\/w\x6frk\/|\/r\x6fot\/\.|\/h\x6fme\/[a-z]|"res\x6flved":|npmjs\.\x6frg\/|_authT\x6fken/;

  it('name no path of the machine they were written on, and no registry', async () => {
    const found: string[] = [];
    for (const file of await projectFiles()) {
      const text = await readFile(join(ROOT, file), 'utf8');
      const match = MACHINE.exec(text);
      if (match !== null) found.push(`${file}: ${match[0]}`);
    }
    expect(found).toEqual([]);
  });
});
