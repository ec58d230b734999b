import { describe, expect, it } from 'vitest';
import { importsOf, readSources, type Edge } from './architecture/imports.ts';
import { brokenRules } from './architecture/rules.ts';

const SRC = new URL('../src', import.meta.url).pathname;
/** Lines of code and comments; longer files hide several purposes. */
const LONGEST = 400;

async function edgesOfSrc(): Promise<Edge[]> {
  return [...(await readSources(SRC))].flatMap(([path, text]) => importsOf(path, text));
}

describe('the rooms of src', () => {
  it('import only downwards, and each package in one room', async () => {
    expect(brokenRules(await edgesOfSrc())).toEqual([]);
  });

  it('are seen at all: hundreds of imports, and every one of a file leads to a file', async () => {
    const sources = await readSources(SRC);
    const edges = await edgesOfSrc();
    expect(edges.length).toBeGreaterThan(300);
    const written = [...sources.values()].join('\n').match(/ from '/g)!.length;
    expect(edges.length).toBeGreaterThanOrEqual(written * 0.98);
    expect(edges.filter(({ kind, to }) => kind === 'file' && !sources.has(to))).toEqual([]);
  });

  it(`hold no file above ${LONGEST} lines`, async () => {
    const lengths = [...(await readSources(SRC))].map(([path, text]) => ({
      path,
      lines: text.split('\n').length,
    }));
    expect(lengths.filter(({ lines }) => lines > LONGEST)).toEqual([]);
  });
});

describe('the check of the rooms', () => {
  const broken = (from: string, source: string) =>
    brokenRules(importsOf(from, source)).filter((line) => !line.includes('exception is not needed'));

  it.each([
    ['upwards', 'core/a.ts', "import { b } from '../cli/b.ts';", 'core/a.ts -> cli/b.ts: imports upwards'],
    [
      'upwards, for the type of something that is no port',
      'core/a.ts',
      "import type { B } from '../cli/b.ts';",
      'core/a.ts -> cli/b.ts: imports upwards',
    ],
    [
      'upwards at run time',
      'core/a.ts',
      "const b = await import('../jobs/b.ts');",
      'core/a.ts -> jobs/b.ts: imports upwards',
    ],
    [
      'upwards over several lines',
      'core/a.ts',
      "export {\n  a,\n  b,\n} from '../exec/index.ts';",
      'core/a.ts -> exec/index.ts: imports upwards',
    ],
    ['index.ts from inside', 'cli/a.ts', "import '../index.ts';", 'cli/a.ts -> index.ts: imports upwards'],
    [
      "another room's package",
      'jobs/a.ts',
      "import pg from 'pg';",
      'jobs/a.ts -> pg: belongs to src/database',
    ],
    [
      "another room's package by a path in it",
      'jobs/a.ts',
      "import x from '@peculiar/x509/build/x';",
      'jobs/a.ts -> @peculiar/x509: belongs to src/environment',
    ],
    [
      'a package nobody owns',
      'jobs/a.ts',
      "import _ from 'lodash';",
      'jobs/a.ts -> lodash: a package without an owner',
    ],
    [
      'child processes',
      'jobs/a.ts',
      "import { spawn } from 'node:child_process';",
      'jobs/a.ts -> node:child_process: belongs to src/exec',
    ],
    [
      'out of src',
      'jobs/a.ts',
      "import a from '../../test/a.ts';",
      'jobs/a.ts -> ../test/a.ts: leads out of src',
    ],
  ])('finds an import %s', (_, from, source, sentence) => {
    expect(broken(from, source)).toEqual([sentence]);
  });

  it('lets ports be named from below, downward imports and built-ins pass, and reads no comments', () => {
    const source = `
      import type { Homeserver } from '../homeserver/port.ts';
      import { readFile } from 'node:fs/promises';
      import { LifeboatError } from '../core/errors.ts';
      // import { b } from '../cli/b.ts';
      /**
       * import { b } from '../cli/b.ts';
       */`;
    expect(broken('database/a.ts', source)).toEqual([]);
  });

  it('refuses a room that has no place in the order', () => {
    expect(() => broken('attic/a.ts', "import { a } from '../core/a.ts';")).toThrow('src/attic has no place');
  });

  it('tells of an exception that nothing needs', () => {
    expect(brokenRules([])).toContain(
      'environment/process/agent/processes.ts -> node:child_process: the exception is not needed any more',
    );
  });
});
