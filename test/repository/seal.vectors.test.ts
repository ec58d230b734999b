import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { unseal } from '../../src/repository/seal.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/age');
const vectors = readdirSync(FOLDER).filter((name) => name !== 'README.md' && !name.startsWith('.'));

interface Vector {
  readonly expect: string;
  readonly identities: readonly string[];
  readonly payload: string | undefined;
  readonly file: Uint8Array;
}

function readVector(name: string): Vector {
  const bytes = readFileSync(join(FOLDER, name));
  const end = bytes.indexOf('\n\n');
  const fields = bytes
    .toString('utf8', 0, end)
    .split('\n')
    .map((line) => line.split(': ') as [string, string]);
  const all = (key: string): string[] => fields.filter(([name]) => name === key).map(([, value]) => value);
  const body = bytes.subarray(end + 2);
  return {
    expect: all('expect')[0] ?? '',
    identities: all('identity'),
    payload: all('payload')[0],
    file: all('compressed')[0] === 'zlib' ? inflateSync(body) : body,
  };
}

describe('the age test vectors of C2SP', () => {
  it('are there', () => {
    expect(vectors.length).toBe(65);
  });

  it.each(vectors)('%s', async (name) => {
    const vector = readVector(name);
    const result = unseal(vector.file, vector.identities);
    if (vector.expect === 'success') {
      expect(
        createHash('sha256')
          .update(await result)
          .digest('hex'),
      ).toBe(vector.payload);
    } else {
      const code = vector.expect === 'no match' ? 'identity-wrong' : 'repository-damaged';
      await expect(result).rejects.toMatchObject({ code });
    }
  });
});
