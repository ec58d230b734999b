import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import { writeDurably } from '../storage/durable-file.ts';
import type { StepId } from './step.ts';

/**
 * What a real restore has done so far, in `<target>/lifeboat-restore.json`. It is written before each step and when its checks have passed, so
 * that the same command, run again after a crash, goes on at the step that did not finish.
 */
export interface Journal {
  /** Ties the marker in a half-restored database to this restore and no other. */
  readonly restoreId: string;
  isDone(step: StepId): boolean;
  started(step: StepId): Promise<void>;
  done(step: StepId): Promise<void>;
  /** The step is to be done again. */
  forget(step: StepId): Promise<void>;
}

export const JOURNAL_FILE = 'lifeboat-restore.json';

const journalSchema = z.strictObject({
  version: z.literal(1),
  restore_id: z.string(),
  snapshot: z.string(),
  server_name: z.string(),
  database: z.string(),
  started: z.array(z.string()),
  done: z.array(z.string()),
});

export interface JournalSubject {
  readonly snapshot: string;
  readonly serverName: string;
  /** `host:port/database`, without user and password. */
  readonly database: string;
}

/** Writes nothing before the first step. Errors: `target-not-empty` when the directory belongs to the restore of something else. */
export async function openJournal(
  directory: string,
  subject: JournalSubject,
  newId: () => string,
): Promise<Journal> {
  const file = join(directory, JOURNAL_FILE);
  const earlier = await readJournal(file);
  if (earlier !== undefined) requireSameSubject(file, earlier, subject);
  const state = earlier ?? {
    version: 1 as const,
    restore_id: newId(),
    snapshot: subject.snapshot,
    server_name: subject.serverName,
    database: subject.database,
    started: [],
    done: [],
  };
  const save = () => writeDurably(file, Buffer.from(`${JSON.stringify(state, null, 2)}\n`), { mode: 0o600 });
  return {
    restoreId: state.restore_id,
    isDone: (step) => state.done.includes(step),
    started: async (step) => {
      if (!state.started.includes(step)) state.started.push(step);
      await save();
    },
    done: async (step) => {
      if (!state.done.includes(step)) state.done.push(step);
      await save();
    },
    forget: async (step) => {
      if (!state.done.includes(step)) return;
      state.done = state.done.filter((one) => one !== step);
      await save();
    },
  };
}

async function readJournal(file: string): Promise<z.infer<typeof journalSchema> | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new LifeboatError('file-unreadable', `cannot read ${file}: ${error.message}`, { cause: error });
  });
  if (text === undefined) return undefined;
  const parsed = journalSchema.safeParse(safeJson(text));
  if (parsed.success) return parsed.data;
  throw new LifeboatError('target-not-empty', `${file} is not a journal of this version`, {
    hint: 'Restore into an empty directory.',
  });
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function requireSameSubject(
  file: string,
  earlier: z.infer<typeof journalSchema>,
  subject: JournalSubject,
): void {
  const same =
    earlier.snapshot === subject.snapshot &&
    earlier.server_name === subject.serverName &&
    earlier.database === subject.database;
  if (same) return;
  throw new LifeboatError(
    'target-not-empty',
    `${file} belongs to the restore of snapshot ${earlier.snapshot.slice(0, 8)} into ${earlier.database}`,
    { hint: 'Give the same snapshot and database to go on with it, or restore into an empty directory.' },
  );
}
