import { describe, expect, it } from 'vitest';
import { parseYaml, type YamlProblem } from '../../src/config/yaml.ts';

describe('homeserver.yaml', () => {
  it('is read as PyYAML reads it: yes is true, merges merge, the last of two keys wins', () => {
    expect(parseYaml('a: yes\nb: &b {x: 1}\nc: {<<: *b, y: 2}\nd: 1\nd: 2\n', 'f')).toEqual({
      a: true,
      b: { x: 1 },
      c: { x: 1, y: 2 },
      d: 2,
    });
  });

  it('tells about a key that stands twice', () => {
    const told: YamlProblem[] = [];
    parseYaml('a: 1\nb:\n  c: 1\n  c: 2\n', 'f', { onDuplicateKey: (problem) => told.push(problem) });
    expect(told).toEqual([{ line: 4, column: 3, message: expect.stringContaining('twice') }]);
  });

  it('names file, line and column of an error, never the text', () => {
    expect(() => parseYaml('ok: 1\nsecret: "canary\n', 'homeserver.yaml')).toThrow(
      /^homeserver\.yaml:\d+:\d+ not valid YAML \([a-z ]+\)$/,
    );
  });

  it('refuses alias bombs and deep nesting instead of hanging', () => {
    const bomb = `a: &a [1, 1]\nb: &b [${'*a,'.repeat(60)}1]\nc: &c [${'*b,'.repeat(60)}1]\nd: [${'*c,'.repeat(60)}1]\n`;
    expect(() => parseYaml(bomb, 'f')).toThrow(/too many aliases/);
    expect(() => parseYaml('['.repeat(100_000), 'f')).toThrow(/^f:\d+:\d+ /);
  });
});
