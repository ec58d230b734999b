import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { parseYaml } from '../../src/config/yaml.ts';
import { LifeboatError } from '../../src/core/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-config-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const GOOD = `version: 1
homeserver: {kind: synapse, config: [/etc/matrix-synapse/homeserver.yaml]}
database: {host: "\${HOST}", port: 5432, password: {file: secret}}
repository:
  path: &path /srv/lifeboat
  host_key_file: host.key
  state_directory: *path
retention: {keep_daily: 7, floor: 3}
drill: {timeout: 15m}
`;

/** Cuts, inserts and replaces: what editors and templates do to a file. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(GOOD.length),
      drop: fc.nat(20),
      insert: fc.oneof(
        fc.string({ maxLength: 5 }),
        fc.constantFrom(
          '\t',
          '${',
          '${X}',
          '*a',
          '&a ',
          '<<: ',
          '? ',
          '- ',
          ': ',
          '{',
          ']',
          '!!js ',
          '|',
          '\n---\n',
          '__proto__: ',
          '\u0000',
          '"',
        ),
      ),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((edits) =>
    edits.reduce((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), GOOD),
  );

it('a mutated lifeboat.yaml is accepted or refused with a LifeboatError that names the file', async () => {
  const file = join(directory, 'lifeboat.yaml');
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => {
      writeFileSync(file, text);
      const error = await loadConfig(file, { HOST: 'db' }).catch((thrown: unknown) => thrown);
      if (!(error instanceof Error)) return;
      expect(error).toBeInstanceOf(LifeboatError);
      expect(error.message).toContain(file);
    }),
    { numRuns: 500 },
  );
});

it('any text as homeserver.yaml gives a value or a LifeboatError', () => {
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string()), (text) => {
      try {
        parseYaml(text, 'homeserver.yaml');
      } catch (error) {
        expect(error).toBeInstanceOf(LifeboatError);
      }
    }),
    { numRuns: 500 },
  );
});
