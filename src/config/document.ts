import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import { LifeboatError } from '../core/errors.ts';

/** A YAML file that knows where each of its values stands. */
export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** `file:line:column` of a value, or of the nearest one above it. */
  where(path: readonly PropertyKey[]): string;
  /** The same of a key of the map at `path`. */
  whereKey(path: readonly PropertyKey[], key: string): string;
}

/** Errors: `config-invalid` with every syntax error and duplicate key, `config-env-unset`. */
export function parseConfigDocument(text: string, file: string, env: NodeJS.ProcessEnv): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true, uniqueKeys: true });
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    // After a syntax error the parser stumbles over the rest; duplicate keys are each a problem of their own.
    const duplicates = document.errors.filter(({ code }) => code === 'DUPLICATE_KEY');
    const problems = (duplicates.length === document.errors.length ? duplicates : document.errors.slice(0, 1)).map((error) => `${position(error.pos[0])}: ${describe(error.code, error.message)}`);
    throw new LifeboatError('config-invalid', problems.join('\n'), { hint: 'Correct the line and run `lifeboat config validate`.' });
  }
  interpolate(document, env, position);
  return {
    file,
    value: document.toJS(),
    where: (path) => position(offsetOf(document, path)),
    whereKey: (path, key) => position(keyOffset(document, path, key)),
  };
}

function describe(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'the key stands here a second time';
  return (message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '').replace(/^[A-Z]/, (letter) => letter.toLowerCase());
}

/** Replaces `${NAME}` in every string value; `$${` stays a plain `${`. */
function interpolate(document: Document, env: NodeJS.ProcessEnv, position: (offset: number) => string): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return;
      node.value = node.value.replace(/(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, escaped: string, name: string) => {
        if (escaped !== '') return whole.slice(1);
        const value = env[name];
        if (value !== undefined) return value;
        throw new LifeboatError('config-env-unset', `${position(node.range?.[0] ?? 0)}: the environment variable ${name} is not set`, {
          hint: `Set ${name}, or write the value into a file and name it with {file: path}.`,
        });
      });
    },
  });
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
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
  return (pair?.key as Node | undefined)?.range?.[0] ?? offsetOf(document, path);
}
