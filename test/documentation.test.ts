import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../src/cli/commands/index.ts';
import { parseCommandLine } from '../src/cli/program.ts';
import { quotedCommands, type QuotedCommand } from './documentation/quoted-commands.ts';

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

describe('the README', () => {
  it('is short enough to be read, and names only npm scripts that exist', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(readme.split('\n').length).toBeLessThanOrEqual(150);
    const named = [...readme.matchAll(/\bnpm (?:run ([\w-]+)|(test)\b)/g)].map(
      ([, run, test]) => run ?? test!,
    );
    expect(named).toEqual(expect.arrayContaining(['demo', 'test']));
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

/** Undefined when lifeboat would take it. */
function refusalOf({ argv, complete }: QuotedCommand): string | undefined {
  try {
    const { kind } = parseCommandLine(argv, COMMANDS, { version: '0', width: 100 });
    return kind === 'run' || argv.includes('--help') || !complete ? undefined : 'runs nothing';
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const lacks = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'].includes(error.code);
    return lacks && !complete ? undefined : error.message;
  }
}

describe('commands that the documentation shows', () => {
  it('exist, with their options', async () => {
    const pages = (await projectFiles()).filter((file) => file.endsWith('.md'));
    const texts = await Promise.all(
      pages.map(async (page) => quotedCommands(page, await readFile(join(ROOT, page), 'utf8'))),
    );
    const quoted = texts.flat();
    expect(quoted.length).toBeGreaterThan(15);
    const refused = quoted
      .map((command) => ({ ...command, refusal: refusalOf(command) }))
      .filter(({ refusal }) => refusal !== undefined);
    expect(
      refused.map(({ page, argv, refusal }) => `${page}: lifeboat ${argv.join(' ')}: ${refusal}`),
    ).toEqual([]);
  });

  it('would be noticed if they did not', () => {
    const markdown =
      'Run `lifeboat backup --fast` or\n\n    lifeboat sail  # away\n    lifeboat list \\\n      --json\n\n`lifeboat.yaml`';
    expect(quotedCommands('a.md', markdown).map(({ argv }) => argv)).toEqual([
      ['sail'],
      ['list', '--json'],
      ['backup', '--fast'],
    ]);
    expect(quotedCommands('a.md', markdown).map((command) => refusalOf(command))).toEqual([
      expect.stringContaining("unknown command 'sail'"),
      undefined,
      expect.stringContaining("unknown option '--fast'"),
    ]);
  });
});

describe('the files of the project', () => {
  // With an escape each, so that this file does not find itself.
  const MACHINE =
    /\/w\x6frk\/(?:main|shared)|\/r\x6fot\/\.|\/h\x6fme\/[a-z]|"res\x6flved":|npmjs\.\x6frg\/|_authT\x6fken/;

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
