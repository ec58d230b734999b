import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import { inParallel } from './in-parallel.ts';
import {
  CONFIG_KEY,
  LOG_PREFIX,
  logKey,
  logSeq,
  OBJECT_CLASSES,
  promisedSha256,
  sha256Hex,
} from './object-names.ts';
import { damagedObject } from './objects.ts';
import { RECOVERY_KIT_FILES } from './recovery-kit.ts';

export interface ReplicateOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((copied: number, total: number) => void) | undefined;
}

export interface ReplicateResult {
  readonly copiedObjects: number;
  readonly copiedBytes: number;
  readonly deletedObjects: number;
  /** What prune has deleted, but the copy does not let go: Object Lock, or credentials that only add. */
  readonly keptObjects: number;
  /** Log records that both have now. */
  readonly records: number;
}

/** Objects on their way at once: a pack has at most some 40 MiB. */
const IN_FLIGHT = 4;

/**
 * Brings a second store up to date: what the repository has and the copy has not is copied, then the log, record by record, so
 * that a snapshot exists in the copy only when all of it does. What a mark names and the repository has deleted is deleted
 * in the copy. May be interrupted anywhere, and run beside backups and prunes; the next run goes on.
 * Every object's hash is compared on the way: damage is not copied.
 * Errors: `repository-missing`, `copy-diverged`, `repository-damaged`, those of the stores.
 */
export async function replicate(
  source: ObjectStore,
  copy: ObjectStore,
  options: ReplicateOptions = {},
): Promise<ReplicateResult> {
  // The log before the lists: what its records need was there before them.
  const head = await headOf(source);
  if (head === 0)
    throw new LifeboatError('repository-missing', `there is no repository at ${source.location}`);
  const copyHead = await requireSameHistory(source, copy, head);
  const [there, wanted] = [await keysOf(copy), await keysOf(source)];
  const missing = [...wanted].filter((key) => !there.has(key));

  const done = { objects: 0, bytes: 0 };
  await inParallel(missing, IN_FLIGHT, async (key) => {
    options.signal?.throwIfAborted();
    const bytes = await readGenuine(source, key, head);
    if (bytes === undefined) return;
    await copy.put(key, bytes);
    done.objects += 1;
    done.bytes += bytes.length;
    options.onProgress?.(done.objects, missing.length);
  });
  if (copyHead === 0)
    for (const key of [...RECOVERY_KIT_FILES, CONFIG_KEY]) await copyPlain(source, copy, key);
  for (let seq = copyHead + 1; seq <= head; seq += 1) {
    options.signal?.throwIfAborted();
    await copyPlain(source, copy, logKey(seq));
  }
  const superfluous = [...there].filter((key) => !wanted.has(key));
  const deleted = await deletePruned(source, copy, superfluous, head);
  return { copiedObjects: done.objects, copiedBytes: done.bytes, ...deleted, records: head };
}

/** The copy's newest record, which must be one of the repository's: the chain of hashes vouches for those before it. */
async function requireSameHistory(source: ObjectStore, copy: ObjectStore, head: number): Promise<number> {
  const copyHead = await headOf(copy);
  if (copyHead === 0) {
    if ((await copy.stat(CONFIG_KEY)) !== undefined && !(await sameBytes(source, copy, CONFIG_KEY)))
      throw diverged(source, copy, 'it holds another repository');
    return 0;
  }
  if (copyHead > head)
    throw diverged(source, copy, `its log has ${copyHead} records, but the repository's only ${head}`);
  if (!(await sameBytes(source, copy, logKey(copyHead))))
    throw diverged(source, copy, `their log records ${copyHead} differ`);
  return copyHead;
}

async function sameBytes(source: ObjectStore, copy: ObjectStore, key: string): Promise<boolean> {
  return Buffer.compare(await source.get(key), await copy.get(key)) === 0;
}

async function headOf(store: ObjectStore): Promise<number> {
  let head = 0;
  for await (const { key } of store.list(LOG_PREFIX)) head = Math.max(head, logSeq(key) ?? 0);
  return head;
}

/** Names of all objects that a hash names; some 100 bytes each, for at most some hundred thousand. */
async function keysOf(store: ObjectStore): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const objectClass of OBJECT_CLASSES) {
    for await (const { key } of store.list(`${objectClass}/`)) {
      if (promisedSha256(key) !== undefined) keys.add(key);
    }
  }
  return keys;
}

/** Undefined when a prune has deleted it since it was listed. */
async function readGenuine(source: ObjectStore, key: string, head: number): Promise<Uint8Array | undefined> {
  try {
    const bytes = await source.get(key);
    if (sha256Hex(bytes) !== promisedSha256(key))
      throw damagedObject(key, `its bytes in ${source.location} do not have the hash in its name`);
    return bytes;
  } catch (error) {
    if (isLifeboatError(error, 'object-missing') && (await headOf(source)) > head) return undefined;
    throw error;
  }
}

async function copyPlain(source: ObjectStore, copy: ObjectStore, key: string): Promise<void> {
  const bytes = await source.get(key);
  if ((await copy.put(key, bytes)) === 'created') return;
  if (Buffer.compare(await copy.get(key), bytes) !== 0) throw diverged(source, copy, `its ${key} differs`);
}

/** Only what a mark of the log names: anything else may be a backup on its way. */
async function deletePruned(
  source: ObjectStore,
  copy: ObjectStore,
  superfluous: readonly string[],
  head: number,
): Promise<Pick<ReplicateResult, 'deletedObjects' | 'keptObjects'>> {
  const result = { deletedObjects: 0, keptObjects: 0 };
  if (superfluous.length === 0) return result;
  const marked = await markedObjects(source, head);
  await inParallel(
    superfluous.filter((key) => marked.has(key)),
    IN_FLIGHT,
    async (key) => {
      try {
        await copy.delete(key);
        result.deletedObjects += 1;
      } catch (error) {
        if (!isLifeboatError(error) || error.transient) throw error;
        result.keptObjects += 1;
      }
    },
  );
  return result;
}

async function markedObjects(store: ObjectStore, head: number): Promise<Set<string>> {
  const marked = new Set<string>();
  for (let seq = 1; seq <= head; seq += 1) {
    const [line] = Buffer.from(await store.get(logKey(seq)))
      .toString()
      .split('\n', 1);
    const body = JSON.parse(line!) as { type: string; objects?: string[] };
    if (body.type === 'mark') for (const key of body.objects ?? []) marked.add(key);
  }
  return marked;
}

function diverged(source: ObjectStore, copy: ObjectStore, why: string): LifeboatError {
  return new LifeboatError('copy-diverged', `${copy.location} is not a copy of ${source.location}: ${why}`, {
    hint: [
      'If the repository was rolled back, the copy may be the better one: look with `lifeboat list --repository`.',
      'If the copy may go, empty its place; the next run fills it again.',
    ],
  });
}
