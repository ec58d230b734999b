import fc from 'fast-check';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openMediaDirectory } from '../../src/media/directory.ts';
import { requireSafePath } from '../../src/media/regular-file.ts';
import { all, catalogueOf } from '../media/store.ts';

/** Names that sort badly when one compares the wrong thing: `-` and `.` come before `/`. */
const name = fc.stringMatching(/^[aA0.\-_é]{1,3}$/).filter((each) => each !== '.' && each !== '..');
const path = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((parts) => `local_content/${parts.join('/')}`);

describe('media, whatever their names', () => {
  it('are reconciled as sets would be', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(path, { maxLength: 12 }),
        fc.uniqueArray(path, { maxLength: 12 }),
        async (wanted, rows) => {
          const root = await mkdtemp(join(tmpdir(), 'lifeboat-property-'));
          try {
            const files: string[] = [];
            for (const each of wanted) {
              // A name cannot be file and folder at once: the later one is left out.
              const made = await mkdir(dirname(join(root, each)), { recursive: true })
                .then(() => writeFile(join(root, each), ''))
                .then(
                  () => true,
                  () => false,
                );
              if (made) files.push(each);
            }
            const found = await all(
              (await openMediaDirectory(root)).reconcile(catalogueOf(rows), ['local_content']),
            );
            const of = (kind: string) =>
              found
                .filter((each) => each.kind === kind)
                .map((each) => each.path)
                .toSorted();
            expect(of('orphan')).toEqual(files.filter((each) => !rows.includes(each)).toSorted());
            expect(of('missing')).toEqual(rows.filter((each) => !files.includes(each)).toSorted());
          } finally {
            await rm(root, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('never leave the root: a path is refused, or stays below it when joined', () => {
    const piece = fc.constantFrom('..', '.', '', 'a', '...', '/', '\0', 'local_content');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const candidate = pieces.join('/');
        try {
          requireSafePath(candidate);
        } catch {
          return;
        }
        expect(join('/root/media', candidate).startsWith('/root/media/')).toBe(true);
        expect(join('/root/media', candidate)).toBe(`/root/media/${candidate}`);
      }),
    );
  });
});
