/** A set of objects, one bit each. */
export type Objects = number;

export type LogRecord =
  | { readonly type: 'snapshot'; readonly needs: Objects }
  | { readonly type: 'forget'; readonly snapshot: number }
  | { readonly type: 'mark'; readonly objects: Objects }
  | { readonly type: 'done'; readonly mark: number };

export interface Writer {
  readonly at: 'start' | 'list' | 'pack' | 'recheck' | 'commit' | 'end';
  readonly run: number;
  /** Records read at the start, and read by now. */
  readonly start: number;
  readonly read: number;
  /** Until it has chosen what it leans on. */
  readonly known: Objects;
  readonly needs: Objects;
}

export interface Pruner {
  readonly at: 'start' | 'delete' | 'done' | 'list' | 'mark' | 'end';
  readonly run: number;
  readonly read: number;
  /** Open marks of earlier prunes, by record, that are still to be finished. */
  readonly marks: readonly number[];
  /** The one that is being finished, and whether it is this run's own. */
  readonly mark: number;
  readonly own: boolean;
  readonly objects: Objects;
}

export interface State {
  readonly log: readonly LogRecord[];
  readonly store: Objects;
  readonly writers: readonly Writer[];
  readonly pruners: readonly Pruner[];
}

/** Snapshots, by record, oldest first. */
export function unforgotten(log: readonly LogRecord[]): number[] {
  const forgotten = log.flatMap((record) => (record.type === 'forget' ? [record.snapshot] : []));
  return log.flatMap(({ type }, number) =>
    type === 'snapshot' && !forgotten.includes(number) ? [number] : [],
  );
}

export function neededBy(log: readonly LogRecord[]): Objects {
  return unforgotten(log).reduce((all, number) => all | needsOf(log, number), 0);
}

/** Marks without `done`, by record. */
export function openMarks(log: readonly LogRecord[]): number[] {
  const done = log.flatMap((record) => (record.type === 'done' ? [record.mark] : []));
  return log.flatMap(({ type }, number) => (type === 'mark' && !done.includes(number) ? [number] : []));
}

export function openlyMarked(log: readonly LogRecord[]): Objects {
  return openMarks(log).reduce((all, number) => all | needsOf(log, number), 0);
}

/** What this record, a snapshot or a mark, is about. */
export function needsOf(log: readonly LogRecord[], number: number): Objects {
  const record = log[number];
  return record?.type === 'mark' ? record.objects : record?.type === 'snapshot' ? record.needs : 0;
}

/** By any of these records, whether done or not. */
export function markedIn(records: readonly LogRecord[]): Objects {
  return records.reduce((all, record) => (record.type === 'mark' ? all | record.objects : all), 0);
}

export function bits(objects: Objects): Objects[] {
  const found: Objects[] = [];
  for (let bit = 1; bit <= objects; bit <<= 1) if ((objects & bit) !== 0) found.push(bit);
  return found;
}
