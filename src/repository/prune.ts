import type { Clock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { RepositoryConfig } from './config-file.ts';
import { stateOf } from './log-state.ts';
import type { CommitLog } from './log.ts';
import { OBJECT_CLASSES, objectKey, promisedSha256 } from './object-names.ts';
import type { PruneOptions, PruneResult } from './port.ts';
import type { RecordOf, Signer } from './record.ts';
import { recoveryKeys } from './recovery-keys.ts';
import { readRefs } from './refs.ts';

/** Objects in one `mark`, so that a record stays below 400 KB. */
const LONGEST_MARK = 4096;

export interface PruneContext {
  readonly store: ObjectStore;
  readonly config: RepositoryConfig;
  readonly log: CommitLog;
  readonly clock: Clock;
  /** Not asked for in a dry run. */
  readonly adminSigner: () => Promise<Signer>;
}

/**
 * Deletes what no snapshot needs: mark (a record that everybody sees) -> delete -> done. Safe beside running backups, because
 * a backup cannot commit after a mark it has not read. An interrupted prune is finished by the next one. The grace period
 * only spares a running backup from storing things twice.
 */
export async function prune(context: PruneContext, options: PruneOptions): Promise<PruneResult> {
  const { log } = context;
  await log.refresh();
  const result = { markedObjects: 0, deletedObjects: 0, lockedObjects: 0, freedBytes: 0 };
  if (options.dryRun) {
    const dead = await deadObjects(context, options.graceMs);
    return { ...result, markedObjects: dead.length, freedBytes: sumBytes(dead) };
  }
  log.requireWritable();
  const signer = await context.adminSigner();
  for (const [mark, objects] of stateOf(log.entries).openMarks) {
    const { deleted, locked } = await finishMark(context, signer, mark, objects, options.signal);
    result.deletedObjects += deleted.length;
    result.lockedObjects += locked;
  }
  for (;;) {
    const readUpTo = log.entries.length;
    const found = await deadObjects(context, options.graceMs).catch(async (error: unknown) => {
      // Another prune may have deleted lists of a snapshot that was forgotten since our look at the log.
      await log.refresh();
      if (log.entries.length === readUpTo) throw error;
    });
    if (found === undefined) continue;
    const dead = found.slice(0, LONGEST_MARK);
    if (dead.length === 0) return result;
    const objects = dead.map(({ key }) => key);
    const mark = await appendUnlessOvertaken(log, signer, objects, readUpTo);
    if (mark === undefined) continue;
    result.markedObjects += objects.length;
    const { deleted, locked } = await finishMark(context, signer, mark, objects, options.signal);
    const gone = new Set(deleted);
    result.deletedObjects += deleted.length;
    result.lockedObjects += locked;
    result.freedBytes += sumBytes(dead.filter(({ key }) => gone.has(key)));
  }
}

/** A mark with objects under Object Lock stays open: nobody leans on them, and a later prune deletes them. */
async function finishMark(
  { store, log }: PruneContext,
  signer: Signer,
  mark: number,
  objects: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ readonly deleted: readonly string[]; readonly locked: number }> {
  const deleted: string[] = [];
  for (const key of objects) {
    signal?.throwIfAborted();
    try {
      await store.delete(key);
      deleted.push(key);
    } catch (error) {
      if (isLifeboatError(error, 'store-denied')) throw appendOnly(store, error);
      if (!isLifeboatError(error, 'object-locked')) throw error;
    }
  }
  const locked = objects.length - deleted.length;
  if (locked === 0) await log.append({ type: 'done', mark }, signer);
  return { deleted, locked };
}

/**
 * Before anything is forgotten: most stores refuse an account that may only add even the deletion of what is not there.
 * Errors: `store-denied`.
 */
export async function requireMayDelete(store: ObjectStore): Promise<void> {
  try {
    await store.delete(objectKey('packs', '0'.repeat(64)));
  } catch (error) {
    throw isLifeboatError(error, 'store-denied') ? appendOnly(store, error) : error;
  }
}

/** A mark that is there stays open, which nobody leans on: the prune that may delete finishes it. */
function appendOnly(store: ObjectStore, cause: LifeboatError): LifeboatError {
  return new LifeboatError(cause.code, `this account may not delete at ${store.location}: ${cause.message}`, {
    cause,
    hint: 'If it is meant to add only, run `lifeboat prune` with an account that may delete: nothing is lost until then (docs/stores.md, Append-only).',
  });
}

/** Everything that these snapshots need. Errors: `repository-damaged`. */
async function neededObjects(
  store: ObjectStore,
  records: Iterable<RecordOf<'snapshot'>>,
): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const record of records) {
    needed.add(record.manifest);
    for (const refs of record.refs) {
      needed.add(refs);
      for (const key of (await readRefs(store, refs)).keys()) needed.add(key);
    }
  }
  return needed;
}

interface DeadObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** Listed, but needed by no snapshot and no reader, not marked, and older than the grace period. */
async function deadObjects(
  { store, config, log, clock }: PruneContext,
  graceMs: number,
): Promise<DeadObject[]> {
  const { records, openMarks } = stateOf(log.entries);
  const needed = await neededObjects(store, records.values());
  needed.add(config.id_key_object).add(recoveryKeys(config, log.entries).dataKeyObject);
  const marked = new Set([...openMarks.values()].flat());
  const youngest = clock.now().getTime() - graceMs;
  const dead: DeadObject[] = [];
  for (const objectClass of OBJECT_CLASSES) {
    for await (const { key, sizeBytes, modified } of store.list(`${objectClass}/`)) {
      if (promisedSha256(key) === undefined || needed.has(key) || marked.has(key)) continue;
      if (modified.getTime() <= youngest) dead.push({ key, sizeBytes });
    }
  }
  return dead;
}

/** The mark's number, or undefined when another record came first: what it needs must not be marked. */
async function appendUnlessOvertaken(
  log: CommitLog,
  signer: Signer,
  objects: readonly string[],
  readUpTo: number,
): Promise<number | undefined> {
  const overtaken = new Error('another record came first');
  try {
    const entry = await log.append({ type: 'mark', objects: [...objects] }, signer, () => {
      if (log.entries.length !== readUpTo) throw overtaken;
    });
    return entry.seq;
  } catch (error) {
    if (error === overtaken) return undefined;
    throw error;
  }
}

function sumBytes(objects: readonly DeadObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
