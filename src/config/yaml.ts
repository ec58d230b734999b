import {
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type ScalarTag,
  type Tags,
} from 'yaml';
import { LifeboatError, type ErrorCode } from '../core/errors.ts';

export interface YamlProblem {
  readonly line: number;
  readonly column: number;
  /** Lower case, never a piece of the text: that may be a secret. */
  readonly message: string;
}

export interface ParseYamlOptions {
  /** `homeserver-config-invalid` unless told otherwise. */
  readonly code?: ErrorCode | undefined;
  /** Told about keys that stand twice in one mapping, of which the last wins. */
  readonly onDuplicateKey?: ((problem: YamlProblem) => void) | undefined;
}

/**
 * YAML as PyYAML's safe_load reads it for a homeserver: version 1.1 (`yes` is true, `<<` merges) and the last of two equal
 * keys wins. Errors: file, line and column, for anything that is not YAML, and for alias bombs.
 */
export function parseYaml(text: string, file: string, options: ParseYamlOptions = {}): unknown {
  const code = options.code ?? 'homeserver-config-invalid';
  try {
    const lines = new LineCounter();
    const document = parseDocument(text, {
      version: '1.1',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      customTags: withoutSingleLetters,
      lineCounter: lines,
    });
    const [problem] = problemsOf(document, lines);
    if (problem !== undefined) throw yamlError(code, file, problem);
    if (options.onDuplicateKey !== undefined) duplicateKeys(document, lines).forEach(options.onDuplicateKey);
    return document.toJS();
  } catch (error) {
    if (error instanceof LifeboatError) throw error;
    // Neither the parser's stack nor the alias limit come as document errors.
    throw yamlError(code, file, { line: 1, column: 1, message: unparsable(error) });
  }
}

/** YAML 1.1 has `y` and `n` as booleans too; PyYAML (resolver.py) leaves them texts. */
function withoutSingleLetters(tags: Tags): Tags {
  const narrowed: Tags = [];
  for (const tag of tags) {
    if (typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:bool' || !('test' in tag))
      narrowed.push(tag);
    else narrowed.push({ ...(tag as ScalarTag), test: tag.test?.test('yes') ? TRUE : FALSE });
  }
  return narrowed;
}

const TRUE = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;

/** Syntax errors with their places. `DUPLICATE_KEY` is one of them only where keys must be unique. */
export function problemsOf(document: Document, lines: LineCounter): YamlProblem[] {
  return document.errors.map((error) => ({
    ...place(lines, error.pos[0]),
    message:
      error.code === 'DUPLICATE_KEY'
        ? 'this key stands twice in the same mapping'
        : `not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
  }));
}

export function place(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** What the parser threw instead of reporting: it ran out of stack, or found too many aliases. */
export function unparsable(error: unknown): string {
  return error instanceof ReferenceError
    ? 'an alias without anchor, or too many aliases'
    : 'nested too deeply';
}

function duplicateKeys(document: Document, lines: LineCounter): YamlProblem[] {
  const found: YamlProblem[] = [];
  visit(document, {
    Map(_key, map) {
      if (!isMap(map)) return;
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value))
          found.push({
            ...place(lines, key.range?.[0] ?? 0),
            message: 'this key stands twice in the same mapping, the last one counts',
          });
        seen.add(key.value);
      }
    },
  });
  return found;
}

function yamlError(code: ErrorCode, file: string, { line, column, message }: YamlProblem): LifeboatError {
  return new LifeboatError(code, `${file}:${line}:${column} ${message}`, {
    hint: 'Correct the line; the homeserver itself would not start with it.',
    context: { file, line, column },
  });
}
