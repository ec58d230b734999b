import { cp, chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Repository } from '../../src/repository/port.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import { sha256 } from '../media/store.ts';
import { backUp, openOptions, readBack, sampleSource } from './fixture.ts';
import { copyToMemory, flipBit, type MemoryStore } from './memory-store.ts';

/** Format 1 is frozen: what was written on that day has to be read by every later version. */
const FROZEN = join(import.meta.dirname, '../fixtures/repository-v1');

interface Expected {
  readonly repository: string;
  readonly snapshots: Readonly<
    Record<
      string,
      {
        readonly seq: number;
        readonly pinned: boolean;
        readonly proven?: string;
        readonly dump: string;
        readonly signingKey: string;
        readonly media: Readonly<Record<string, string>>;
      }
    >
  >;
}

let directory: string;
let expected: Expected;
let frozen: MemoryStore;
/** By kind of object, what the table below damages. */
let named: Readonly<Record<string, string>>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-format-v1-'));
  await cp(FROZEN, directory, { recursive: true });
  for (const file of ['host.key', 'admin.key']) await chmod(join(directory, file), 0o600);
  expected = JSON.parse(await readFile(join(directory, 'expected.json'), 'utf8')) as Expected;
  frozen = await copyToMemory(await openLocalStore(join(directory, 'repository')));
  named = nameObjects();
});
afterAll(() => rm(directory, { recursive: true }));

/** A machine that has never seen it, so that no saved head helps. */
async function open(store: MemoryStore, identityFile = 'identity'): Promise<Repository> {
  const stateDirectory = await mkdtemp(join(directory, 'state-'));
  const identity = new Secret((await readFile(join(directory, identityFile), 'utf8')).trim());
  return openRepository(store, { ...openOptions(directory), stateDirectory, identities: [identity] });
}

const ids = (): string[] => Object.keys(expected.snapshots);

async function contentOf(repository: Repository, id: string): Promise<unknown> {
  const { dump, media, signingKey } = await readBack(repository, id);
  const hashes = Object.fromEntries(
    Object.entries(media).map(([path, body]) => [path, sha256(Buffer.from(body))]),
  );
  return { dump: sha256(Buffer.from(dump)), media: hashes, signingKey };
}

function record(seq: number): Readonly<Record<string, unknown>> {
  const file = Buffer.from(frozen.objects.get(`log/${String(seq).padStart(10, '0')}.json`)!).toString();
  return JSON.parse(file.split('\n')[0]!) as Record<string, unknown>;
}

function nameObjects(): Record<string, string> {
  const keys = [...frozen.objects.keys()].toSorted();
  const config = JSON.parse(Buffer.from(frozen.objects.get('lifeboat.json')!).toString()) as Record<
    string,
    string
  >;
  const second = record(3);
  const first = (prefix: string) => keys.find((key) => key.startsWith(prefix))!;
  return {
    'lifeboat.json': 'lifeboat.json',
    'recovery kit': 'recover.sh',
    'log record': 'log/0000000004.json',
    index: first('index/'),
    refs: (second['refs'] as string[])[0]!,
    'manifest of the second': second['manifest'] as string,
    'data key in force': record(4)['data_key'] as string,
    'id key': config['id_key_object']!,
  };
}

describe('the frozen repository of format 1', () => {
  it.each(['identity', 'second-identity'])(
    'opens with %s, and all snapshots are as they were',
    async (identity) => {
      const repository = await open(frozen, identity);
      expect(repository.id).toBe(expected.repository);
      const snapshots = await repository.snapshots();
      expect(snapshots.map(({ id }) => id)).toEqual(ids());
      for (const { id, seq, pinned, drill } of snapshots) {
        const { proven, ...rest } = expected.snapshots[id]!;
        expect({ seq, pinned, ...((await contentOf(repository, id)) as object) }).toEqual(rest);
        expect(drill?.result).toBe(proven);
      }
    },
  );

  it('is sound', async () => {
    const result = await (await open(frozen)).check({ readData: 'all' });
    expect(result).toMatchObject({ ok: true, findings: [], snapshots: 3 });
  });

  it('takes new snapshots, which find what is stored already', async () => {
    const store = await copyToMemory(frozen);
    const repository = await open(store);
    const source = sampleSource();
    const { entry } = await backUp(repository, source);
    expect(await readBack(await open(store), entry.id)).toEqual(source);
    const again = await backUp(await open(store), await readBack(repository, ids()[0]!));
    expect(again.newBlobs).toBe(0);
  });
});

/** How many of the three snapshots can be restored when this kind of object is damaged; `check` finds and names it in any case. */
const TRUTH: readonly (readonly [kind: string, restorable: 0 | 2 | 3])[] = [
  ['lifeboat.json', 0],
  ['recovery kit', 3],
  ['log record', 0],
  ['index', 3],
  ['refs', 3],
  ['manifest of the second', 2],
  ['data key in force', 0],
  ['id key', 0],
];

const DAMAGES: readonly (readonly [
  string,
  (bytes: Uint8Array, other: Uint8Array) => Uint8Array | undefined,
])[] = [
  ['with one bit flipped', (bytes) => flipBit(bytes, bytes.length * 4)],
  ['cut by a byte', (bytes) => bytes.subarray(0, -1)],
  ['that is gone', () => undefined],
  ['with the content of another object', (_bytes, other) => other],
];

describe('the frozen repository, damaged', () => {
  const damage = async (key: string, change: (typeof DAMAGES)[number][1]): Promise<MemoryStore> => {
    const store = await copyToMemory(frozen);
    const changed = change(store.objects.get(key)!, store.objects.get('RECOVER.md')!);
    if (changed === undefined) store.objects.delete(key);
    else store.objects.set(key, changed);
    return store;
  };
  /** What `check` says, or why it does not even open. */
  const findings = async (store: MemoryStore): Promise<string> => {
    try {
      const { findings: found } = await (await open(store)).check({ readData: 'all' });
      return found.map(({ object, problem }) => `${object}: ${problem}`).join('\n');
    } catch (error) {
      return (error as Error).message;
    }
  };
  const restorable = async (store: MemoryStore): Promise<string[]> => {
    const good: string[] = [];
    for (const id of ids()) {
      const { seq: _seq, pinned: _pinned, proven: _proven, ...content } = expected.snapshots[id]!;
      const read = await open(store)
        .then((repository) => contentOf(repository, id))
        .catch(() => undefined);
      // Never anything else than what was backed up.
      if (read === undefined) continue;
      expect(read).toEqual(content);
      good.push(id);
    }
    return good;
  };

  describe.each(DAMAGES)('has an object %s:', (_how, change) => {
    it.each(TRUTH)('%s; it is named, and %i snapshots can be restored', async (kind, count) => {
      const store = await damage(named[kind]!, change);
      const name = kind === 'lifeboat.json' ? /lifeboat|no repository/ : named[kind]!.split('/').at(-1)!;
      expect(await findings(store)).toMatch(name);
      expect(await restorable(store)).toHaveLength(count);
    });

    it('each pack; it is named, and just the snapshots that need it are lost', async () => {
      for (const key of [...frozen.objects.keys()].filter((one) => one.startsWith('packs/'))) {
        const store = await damage(key, change);
        const { findings: found } = await (await open(store)).check({ readData: 'all' });
        const finding = found.find(({ object }) => object === key);
        expect(finding, key).toBeDefined();
        const lost = ids().filter((id) => finding!.snapshots.includes(id));
        expect(await restorable(store)).toEqual(ids().filter((id) => !lost.includes(id)));
      }
    });
  });
});
