import { describe, expect, it } from 'vitest';
import { mediaFileSchema, shardRowSchema } from '../../src/repository/manifest-schema.ts';

const file = {
  path: 'a/b',
  sizeBytes: 1,
  sha256: 'a'.repeat(64),
  blobs: ['b'.repeat(64)],
  mediaClass: 'local_content',
};

describe('a file in a manifest', () => {
  it.each(['local_content/aa/bb/cc', '...', '-n', 'with space', 'new\nline', 'x'.repeat(255)])(
    'may be called %j',
    (path) => {
      expect(mediaFileSchema.parse({ ...file, path }).path).toBe(path);
    },
  );

  it.each([
    '',
    '/etc/passwd',
    '..',
    'a/../../b',
    './a',
    'a//b',
    'a/',
    'nul\0',
    'x'.repeat(256),
    'é'.repeat(128),
    'a/'.repeat(2500) + 'b',
  ])('may not be called %j, whoever wrote the manifest', (path) => {
    expect(shardRowSchema.safeParse({ ...file, path, in: [[0, 512, 9]] }).success).toBe(false);
  });

  it('has no negative size or malformed blob id', () => {
    for (const change of [
      { sizeBytes: -1 },
      { sizeBytes: 0.5 },
      { blobs: ['../x'] },
      { sha256: 'A'.repeat(64) },
    ]) {
      expect(mediaFileSchema.safeParse({ ...file, ...change }).success).toBe(false);
    }
  });
});
