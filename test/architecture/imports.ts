import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

/** One import of one file. */
export interface Edge {
  /** Path relative to src: `restore/step.ts`. */
  readonly from: string;
  /** Path relative to src, or the name of a package (`@scope/name`, `node:fs`). */
  readonly to: string;
  readonly kind: 'file' | 'package';
  /** Gone at run time. `import { type A }` is not: verbatimModuleSyntax keeps it for its side effects. */
  readonly typeOnly: boolean;
}

const STATIC = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*{][^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]/g;
const COMMENT = /^[ \t]*(?:\/\/|\/?\*).*$/gm;

export function importsOf(from: string, source: string): Edge[] {
  const code = source.replace(COMMENT, '');
  const found = [
    ...[...code.matchAll(STATIC)].map(([, type, specifier]) => ({
      specifier: specifier!,
      typeOnly: type !== undefined,
    })),
    ...[...code.matchAll(DYNAMIC)].map(([, specifier]) => ({ specifier: specifier!, typeOnly: false })),
  ];
  return found.map(({ specifier, typeOnly }) =>
    specifier.startsWith('.')
      ? { from, to: normalize(join(dirname(from), specifier)), kind: 'file', typeOnly }
      : { from, to: packageName(specifier), kind: 'package', typeOnly },
  );
}

/** Every TypeScript file below a directory, with its text; paths relative to the directory. */
export async function readSources(directory: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(directory, { recursive: true });
  const files = entries.filter((path) => path.endsWith('.ts')).toSorted();
  return new Map(
    await Promise.all(
      files.map(async (path) => [path, await readFile(join(directory, path), 'utf8')] as const),
    ),
  );
}

function packageName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
