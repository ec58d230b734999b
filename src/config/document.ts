import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import { LifeboatError } from '../core/errors.ts';
import { place, problemsOf, unparsable } from './yaml.ts';

/** A YAML file that knows where each of its values stands. */
export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** Duplicate keys and unset variables: told together with what the schema finds. */
  readonly problems: readonly DocumentProblem[];
  /** `file:line:column` of a value, or of the nearest one above it. */
  where(path: readonly PropertyKey[]): string;
  /** The same of a key of the map at `path`. */
  whereKey(path: readonly PropertyKey[], key: string): string;
}

export interface DocumentProblem {
  readonly code: 'config-invalid' | 'config-env-unset';
  /** `file:line:column: what is wrong`; never a piece of the text, which may be a secret. */
  readonly text: string;
}

/** Errors: `config-invalid` when the text is not YAML, so that looking further would only repeat that. */
export function parseConfigDocument(text: string, file: string, env: NodeJS.ProcessEnv): YamlDocument {
  try {
    return readDocument(text, file, env);
  } catch (error) {
    if (error instanceof LifeboatError) throw error;
    // Neither the parser's stack nor the alias limit come as document errors.
    throw new LifeboatError('config-invalid', `${file}:1:1: ${unparsable(error)}`, {
      hint: CORRECT,
      context: { file, line: 1, column: 1 },
    });
  }
}

const CORRECT = 'Correct the line and run `lifeboat config validate`.';

function readDocument(text: string, file: string, env: NodeJS.ProcessEnv): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    uniqueKeys: true,
  });
  const position = (offset: number) => {
    const { line, column } = place(lines, offset);
    return `${file}:${line}:${column}`;
  };
  const yamlProblems = problemsOf(document, lines);
  const syntax = yamlProblems.find((_, index) => document.errors[index]?.code !== 'DUPLICATE_KEY');
  if (syntax !== undefined) {
    // After a syntax error the parser stumbles over the rest: the first one is the true one.
    const { line, column, message } = syntax;
    throw new LifeboatError('config-invalid', `${file}:${line}:${column}: ${message}`, {
      hint: CORRECT,
      context: { file, line, column },
    });
  }
  const duplicates = yamlProblems.map(({ line, column, message }) => ({
    code: 'config-invalid' as const,
    text: `${file}:${line}:${column}: ${message}`,
  }));
  const unset = interpolate(document, env, position);
  return {
    file,
    value: document.toJS(),
    problems: [...duplicates, ...unset],
    where: (path) => position(offsetOf(document, path)),
    whereKey: (path, key) => position(keyOffset(document, path, key)),
  };
}

/** Replaces `${NAME}` in every string value, and says which are not set; `$${` stays a plain `${`. */
function interpolate(
  document: Document,
  env: NodeJS.ProcessEnv,
  position: (offset: number) => string,
): DocumentProblem[] {
  const unset: DocumentProblem[] = [];
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
      const replaced = node.value.replace(
        /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
        (whole, escaped: string, name: string) => {
          if (escaped !== '') return whole.slice(1);
          const value = env[name];
          if (value !== undefined) return value;
          const text = `${position(node.range?.[0] ?? 0)}: the environment variable ${name} is not set`;
          unset.push({ code: 'config-env-unset', text });
          return whole;
        },
      );
      // `port: ${PGPORT}` is a number, as if it were written there; quoted it stays a text.
      node.value =
        node.type === 'PLAIN' && /^(0|[1-9]\d{0,14})$/.test(replaced) ? Number(replaced) : replaced;
    },
  });
  return unset;
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range !== null && node.range !== undefined) return node.range[0];
  }
  return 0;
}

function keyOffset(document: Document, path: readonly PropertyKey[], key: string): number {
  const map: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(map)
    ? map.items.find((item) => isScalar(item.key) && item.key.value === key)
    : undefined;
  return (pair?.key as Node | undefined)?.range?.[0] ?? offsetOf(document, path);
}
