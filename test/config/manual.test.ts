import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configJsonSchema, loadConfig } from '../../src/config/index.ts';

interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** `homeserver.config` -> its schema, for every key that is not itself a mapping of keys. */
function keysOf(schema: Schema, prefix = ''): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    child.properties === undefined
      ? [[`${prefix}${name}`, child] as [string, Schema]]
      : keysOf(child, `${prefix}${name}.`),
  );
}

const manual = await readFile(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
const rows = manual.matchAll(/^\| `([a-z0-9_.]+)` +\|(?:[^|]*\|) +([^|]*?) *\| (.*?) *\|$/gm);
const documented = new Map(
  [...rows].map(([, key, value, meaning]) => [key!, { value: value!, meaning: meaning! }]),
);

it('the manual explains every key of the schema, in the same words and with the same default, and no other', () => {
  const keys = keysOf(configJsonSchema() as Schema);
  expect([...documented.keys()]).toEqual(keys.map(([key]) => key));
  for (const [key, schema] of keys) {
    expect(documented.get(key)?.meaning, key).toBe(schema.description);
    if (schema.default === undefined) continue;
    const shown = Array.isArray(schema.default)
      ? `[${schema.default.join(', ')}]`
      : JSON.stringify(schema.default).replaceAll('"', '');
    expect(documented.get(key)?.value, key).toBe(`\`${shown}\``);
  }
});

it('the example of the manual is a valid file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-manual-'));
  const file = join(directory, 'lifeboat.yaml');
  await writeFile(file, /```yaml\n([^`]*)```/.exec(manual)![1]!);
  await expect(loadConfig(file, {})).resolves.toMatchObject({ repository: { path: '/srv/lifeboat' } });
  await rm(directory, { recursive: true });
});
