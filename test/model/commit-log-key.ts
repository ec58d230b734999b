import {
  markedIn,
  neededBy,
  needsOf,
  openlyMarked,
  openMarks,
  unforgotten,
  type LogRecord,
  type Pruner,
  type State,
  type Writer,
} from './commit-log-state.ts';

/**
 * States with equal keys have equal futures. Of the log, that is what it adds up to, and for each process what it has read and
 * what came since; objects stand for the numbers of records, and which administrator is which makes no difference.
 */
export function stateKey({ log, store, writers, pruners }: State): string {
  const of = (number: number) => needsOf(log, number);
  return [
    store,
    unforgotten(log).map(of).join('+'),
    openMarks(log).map(of).join('+'),
    ...writers.map((writer) => writerKey(writer, log)),
    ...pruners.map((pruner) => prunerKey(pruner, log)).toSorted(),
  ].join(' ');
}

function writerKey({ at, run, start, read, known, needs }: Writer, log: readonly LogRecord[]): string {
  if (at === 'end') return at;
  if (at === 'start') return `${at}${run}`;
  // Before it has chosen, every mark may turn out to concern it.
  const concerned = at === 'list' || at === 'pack' ? -1 : needs;
  const marks = [log.slice(start, read), log.slice(read)].map((records) => markedIn(records) & concerned);
  return [at + run, known, needs, ...marks, read === log.length].join('.');
}

function prunerKey({ at, run, read, marks, mark, own, objects }: Pruner, log: readonly LogRecord[]): string {
  if (at === 'end') return at;
  if (at === 'start') return `${at}${run}`;
  if (at === 'mark') return [at + run, objects, read === log.length].join('.');
  const seen = log.slice(0, read);
  if (at === 'list') return [at + run, neededBy(seen), openlyMarked(seen), read === log.length].join('.');
  return [at + run, [mark, ...marks].map((number) => needsOf(log, number)).join('+'), own, objects].join('.');
}
