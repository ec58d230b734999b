import type { Config } from '../../config/index.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { quoted } from '../../database/index.ts';
import type { PostgresSession } from '../../database/port.ts';
import { synapseAdmin, type SynapseAdmin } from '../../homeserver/index.ts';
import type { Task } from './plan.ts';

export interface TaskResult {
  readonly task: Task;
  readonly ok: boolean;
  readonly durationMs: number;
  /** What was done, or why it was not. */
  readonly said: string;
  /** Given back to the file system; undefined where nobody can tell. */
  readonly freedBytes?: number | undefined;
}

export interface Hands {
  readonly session: PostgresSession;
  readonly homeserver: Config['maintenance']['homeserver'];
  readonly signal?: AbortSignal | undefined;
}

/** One after the other; what fails is told, and the others are done. */
export async function* runMaintenance(tasks: readonly Task[], hands: Hands): AsyncGenerator<TaskResult> {
  for (const task of tasks) {
    hands.signal?.throwIfAborted();
    const begun = performance.now();
    const done = await perform(task, hands).catch((error: unknown) => {
      if (hands.signal?.aborted === true || isLifeboatError(error, 'internal')) throw error;
      return { ok: false, said: messageOf(error) };
    });
    yield { ok: true, ...done, task, durationMs: performance.now() - begun };
  }
}

type Done = Pick<TaskResult, 'said' | 'freedBytes'> & { readonly ok?: boolean };

async function perform(task: Task, hands: Hands): Promise<Done> {
  switch (task.kind) {
    case 'purge-media-cache':
      return { said: `${await adminOf(hands).purgeMediaCache(task.beforeMs)} cached media removed` };
    case 'purge-history': {
      const { room, beforeMs, deleteLocalEvents } = task;
      const result = await adminOf(hands).purgeHistory(room, beforeMs, deleteLocalEvents);
      return { said: result === 'purged' ? 'purged' : 'the room has no event that old' };
    }
    case 'reindex':
      return await reindex(task.index, hands.session);
    case 'vacuum':
      return await vacuum(task.tables, hands);
  }
}

export function adminOf({ homeserver, signal }: Pick<Hands, 'homeserver' | 'signal'>): SynapseAdmin {
  if (homeserver === undefined)
    throw new LifeboatError('internal', 'a purge without an address of the homeserver');
  return synapseAdmin(homeserver.url, homeserver.adminToken, signal);
}

async function reindex(index: string, session: PostgresSession): Promise<Done> {
  const name = `public.${quoted(index)}`;
  const before = await sizeOf(session, name);
  try {
    await session.query(`REINDEX INDEX CONCURRENTLY ${name}`);
  } catch (error) {
    const left = `${index}_ccnew`;
    const [row] = await session.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      `public.${quoted(left)}`,
    ]);
    const advice =
      row?.there === true ? `; remove what it has left: DROP INDEX CONCURRENTLY public.${quoted(left)}` : '';
    throw new LifeboatError('maintenance-failed', `${messageOf(error)}${advice}`, { cause: error });
  }
  const after = await sizeOf(session, name);
  return {
    said: `${formatBytes(before)} before, ${formatBytes(after)} now`,
    freedBytes: Math.max(0, before - after),
  };
}

async function vacuum(tables: readonly string[], { session, signal }: Hands): Promise<Done> {
  const database = async () => {
    const [row] = await session.query<{ bytes: number }>(
      'SELECT pg_database_size(current_database()) AS bytes',
    );
    return Number(row!.bytes);
  };
  const before = await database();
  for (const table of tables) {
    signal?.throwIfAborted();
    await session.query(`VACUUM (ANALYZE) public.${quoted(table)}`);
  }
  return {
    said: `${tables.length} tables; what is free in them is used again, and only what was free at their ends is given back`,
    freedBytes: Math.max(0, before - (await database())),
  };
}

async function sizeOf(session: PostgresSession, name: string): Promise<number> {
  const [row] = await session.query<{ bytes: number }>('SELECT pg_relation_size($1::regclass) AS bytes', [
    name,
  ]);
  return Number(row!.bytes);
}
