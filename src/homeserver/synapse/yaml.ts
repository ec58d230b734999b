import { parseDocument, type ScalarTag, type Tags } from 'yaml';
import { LifeboatError } from '../../core/errors.ts';

/**
 * YAML as PyYAML's safe_load reads it for Synapse: version 1.1 (`yes` is true, `<<` merges) and the last of two equal keys
 * wins. Errors: `homeserver-config-invalid` with file, line and column, and never a piece of the text, which may be a secret.
 */
export function parseHomeserverYaml(text: string, file: string): unknown {
  const document = parseDocument(text, {
    version: '1.1',
    uniqueKeys: false,
    prettyErrors: true,
    logLevel: 'silent',
    customTags: withPyYamlBooleans,
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = error.linePos?.[0] ?? { line: 1, col: 1 };
    throw new LifeboatError(
      'homeserver-config-invalid',
      `${file}:${line}:${col} is not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
      {
        hint: 'Correct the line; the homeserver itself would not start with it.',
        context: { file, line, column: col },
      },
    );
  }
  return document.toJS();
}

/** YAML 1.1 takes a bare `y` or `n` for a boolean as well; PyYAML does not. */
function withPyYamlBooleans(tags: Tags): Tags {
  return tags.map((tag) => {
    if (typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:bool') return tag;
    const { test } = tag as ScalarTag;
    return {
      ...(tag as ScalarTag),
      test: new RegExp(`^(?![YyNn]$)${test?.source.replace(/^\^/, '') ?? ''}`),
    };
  });
}
