import { eachConcurrently } from '../core/each-concurrently.ts';
import {
  dumpDatabase,
  type DumpOptions,
  type DumpPart,
  type DumpPlan,
  qualified,
} from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { DatabaseDumpFile } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';

export interface DumpLanesOptions extends Omit<DumpOptions, 'part' | 'onBytes' | 'signal'> {
  readonly target: PostgresTarget;
  readonly plan: DumpPlan;
  readonly writer: BackupWriter;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Ends all other lanes. */
  readonly stop: () => void;
}

export interface DumpedDatabase {
  /** In the order in which they are to be restored. */
  readonly dumps: readonly DatabaseDumpFile[];
  readonly clientVersion: string;
}

const REPORT_EVERY_MS = 250;

/**
 * Streams the parts of a plan into the repository, so many at a time. Nothing is written to the disk on the way: what has not been
 * stored yet waits in pg_dump. A lane that fails ends the others; it rejects with the first failure when all pg_dump are gone.
 */
export async function dumpInLanes(options: DumpLanesOptions): Promise<DumpedDatabase> {
  const { plan, target } = options;
  const done = new Map<DumpPart, DatabaseDumpFile>();
  let clientVersion = '';
  await eachConcurrently(plan.parts, plan.lanes, async (part) => {
    try {
      const dumped = await dumpPart(part, options);
      clientVersion = dumped.clientVersion;
      done.set(part, dumped.file);
    } catch (error) {
      options.stop();
      throw error;
    }
  });
  const ordered = restoreOrder(plan.parts).map((part, at) => ({
    ...done.get(part)!,
    name: fileName(target.database, part, at),
  }));
  return { dumps: ordered, clientVersion };
}

async function dumpPart(
  part: DumpPart,
  options: DumpLanesOptions,
): Promise<{ clientVersion: string; file: DatabaseDumpFile }> {
  const { target, writer, progress, signal } = options;
  signal.throwIfAborted();
  let [done, toldAt] = [0, 0];
  const tell = (total: number) =>
    progress({ phase: 'database', lane: part.name, done, total, unit: 'bytes' });
  const dump = await dumpDatabase(target, {
    ...options,
    part,
    onBytes: (bytes) => {
      done += bytes;
      const now = performance.now();
      if (now - toldAt < REPORT_EVERY_MS) return;
      toldAt = now;
      tell(Math.max(done, part.bytes));
    },
  });
  try {
    const content = await writer.addStream(dump.stream);
    tell(done);
    const section = part.section === undefined ? {} : { section: part.section };
    const tables = part.only === undefined ? {} : { tables: part.only.map(qualified) };
    return { clientVersion: dump.clientVersion, file: { name: '', content, ...section, ...tables } };
  } finally {
    await dump.ended;
  }
}

const ORDER = { 'pre-data': 1, data: 2, 'post-data': 3 } as const;

/** Tables, rows, then indexes, constraints and triggers; rows with the largest first, as they were planned. */
function restoreOrder(parts: readonly DumpPart[]): DumpPart[] {
  const rank = ({ section }: DumpPart) => (section === undefined ? 0 : ORDER[section]);
  return parts.toSorted((a, b) => rank(a) - rank(b));
}

/** `synapse-2-data-03-event_json.dump`: sorted by name they are in the order of restoring. */
function fileName(database: string, { section, name }: DumpPart, at: number): string {
  const base = safe(database);
  if (section === undefined) return `${base}.dump`;
  if (section !== 'data') return `${base}-${ORDER[section]}-${section}.dump`;
  return `${base}-2-data-${String(at).padStart(2, '0')}-${safe(name)}.dump`;
}

function safe(name: string): string {
  return name.replaceAll(/[^\w.]/g, '_').slice(0, 63);
}
