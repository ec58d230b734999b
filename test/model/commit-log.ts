import type { Model, Step } from './explore.ts';

/**
 * The protocol of docs/repository-format.md, "Writing", as small as it can be and still go wrong: two hosts back up the same
 * content, two administrators prune, everybody may crash anywhere. Each step is one operation of the store, which is atomic;
 * what a process does between two of them concerns nobody else. An object is one bit; the log is a list of records.
 */
export interface Protocol {
  /** A writer reads the log before it lists what is stored. */
  readonly listsAfterLog: boolean;
  /** A writer looks for marks on what it needs before each try of its record. */
  readonly rechecksMarks: boolean;
  /** A pruner starts over when another record came between its look at the log and its mark. */
  readonly marksOnlyWhatItSaw: boolean;
  /** A record never replaces another. */
  readonly createsOnly: boolean;
  /** A pruner says in the log what it is going to delete. */
  readonly marksBeforeDeleting: boolean;
}

export const PROTOCOL: Protocol = {
  listsAfterLog: true,
  rechecksMarks: true,
  marksOnlyWhatItSaw: true,
  createsOnly: true,
  marksBeforeDeleting: true,
};

export interface Bounds {
  readonly writers: number;
  readonly pruners: number;
  /** Of all processes together; whoever crashed begins again, unless it was its last run. */
  readonly crashes: number;
  readonly runsPerWriter: number;
  readonly runsPerPruner: number;
  /** What of the dead a pruner finds old enough: any part of it, whatever clocks say, or all of it. */
  readonly deletes: 'any part' | 'all';
}

type Objects = number;

type LogRecord =
  | { readonly type: 'snapshot'; readonly needs: Objects }
  | { readonly type: 'forget'; readonly snapshot: number }
  | { readonly type: 'mark'; readonly objects: Objects }
  | { readonly type: 'done'; readonly mark: number };

interface Writer {
  readonly at: 'start' | 'list' | 'pack' | 'root' | 'commit' | 'end';
  readonly run: number;
  /** Records read at the start, and read by now. */
  readonly start: number;
  readonly read: number;
  /** Listed, and not marked in the records that were read. */
  readonly known: Objects;
  readonly needs: Objects;
}

interface Pruner {
  readonly at: 'start' | 'forget' | 'delete' | 'done' | 'list' | 'mark' | 'end';
  readonly run: number;
  readonly read: number;
  /** Open marks of earlier prunes, by record, that are still to be finished. */
  readonly marks: readonly number[];
  /** The one that is being finished, and whether it is this run's own. */
  readonly mark: number;
  readonly own: boolean;
  readonly objects: Objects;
}

interface State {
  readonly log: readonly LogRecord[];
  readonly store: Objects;
  readonly crashes: number;
  readonly writers: readonly Writer[];
  readonly pruners: readonly Pruner[];
}

const NO_MARK = -1;
const IDLE_WRITER: Writer = { at: 'start', run: 0, start: 0, read: 0, known: 0, needs: 0 };
const IDLE_PRUNER: Pruner = {
  at: 'start',
  run: 0,
  read: 0,
  marks: [],
  mark: NO_MARK,
  own: false,
  objects: 0,
};
/** All that have ended are alike. */
const ENDED: Pruner = { ...IDLE_PRUNER, at: 'end' };
/** The pack and the manifest of the snapshot that is there at the beginning; each run of a writer has two of its own. */
const FIRST_PACK = 0b01;
const FIRST_ROOT = 0b10;
/** Packs are the even bits. Each holds the one content that everybody backs up. */
const PACKS = 0b0101_0101_0101_0101;

export function commitLogModel(protocol: Protocol, bounds: Bounds): Model<State> {
  function* steps(state: State): Generator<Step<State>> {
    for (const [number, writer] of state.writers.entries()) {
      const put = (next: Writer, rest: Partial<State> = {}): State => ({
        ...state,
        ...rest,
        writers: state.writers.with(number, next),
      });
      const name = `writer ${number + 1}`;
      for (const step of writerSteps(
        protocol,
        state,
        writer,
        number * bounds.runsPerWriter + writer.run,
        put,
      ))
        yield { name: `${name} ${step.name}`, state: step.state };
      if (writer.at === 'start' || writer.at === 'end' || state.crashes === bounds.crashes) continue;
      yield { name: `${name} crashes`, state: put(nextRun(writer), { crashes: state.crashes + 1 }) };
    }
    for (const [number, pruner] of state.pruners.entries()) {
      const put = (next: Pruner, rest: Partial<State> = {}): State => ({
        ...state,
        ...rest,
        pruners: state.pruners.with(number, next),
      });
      const name = `pruner ${number + 1}`;
      for (const step of prunerSteps(protocol, bounds, state, pruner, put))
        yield { name: `${name} ${step.name}`, state: step.state };
      if (pruner.at === 'start' || pruner.at === 'end' || state.crashes === bounds.crashes) continue;
      const run = pruner.run + 1;
      const next = run < bounds.runsPerPruner ? { ...IDLE_PRUNER, run } : ENDED;
      yield { name: `${name} crashes`, state: put(next, { crashes: state.crashes + 1 }) };
    }
  }

  const nextRun = ({ run }: Writer): Writer => ({
    ...IDLE_WRITER,
    run: run + 1,
    at: run + 1 < bounds.runsPerWriter ? 'start' : 'end',
  });

  /** One operation of a backup: src/repository/writer.ts and log.ts. */
  function* writerSteps(
    rules: Protocol,
    { log, store }: State,
    writer: Writer,
    identity: number,
    put: (next: Writer, rest?: Partial<State>) => State,
  ): Generator<Step<State>> {
    const pack = 1 << (2 + 2 * identity);
    const root = pack << 1;
    switch (writer.at) {
      case 'start':
        if (rules.listsAfterLog) {
          const known = ~openlyMarked(log);
          yield {
            name: 'reads the log',
            state: put({ ...writer, at: 'list', start: log.length, read: log.length, known }),
          };
        } else yield { name: 'lists', state: put({ ...writer, at: 'list', known: store & PACKS }) };
        break;
      case 'list': {
        const [start, known] = rules.listsAfterLog
          ? [writer.start, writer.known & store & PACKS]
          : [log.length, writer.known & ~openlyMarked(log)];
        const listed: Writer = { ...writer, start, read: start, known: 0 };
        const name = rules.listsAfterLog ? 'lists' : 'reads the log';
        if (known === 0) yield { name, state: put({ ...listed, at: 'pack' }) };
        for (const one of bits(known))
          yield { name: `${name}, leans on ${one}`, state: put({ ...listed, at: 'root', needs: one }) };
        break;
      }
      case 'pack':
        yield {
          name: `stores pack ${pack}`,
          state: put({ ...writer, at: 'root', needs: pack }, { store: store | pack }),
        };
        break;
      case 'root':
        yield {
          name: `stores root ${root}`,
          state: put({ ...writer, at: 'commit', needs: writer.needs | root }, { store: store | root }),
        };
        break;
      case 'commit': {
        const news = log.slice(writer.start, writer.read);
        const marked = news.some((record) => record.type === 'mark' && (record.objects & writer.needs) !== 0);
        const record: LogRecord = { type: 'snapshot', needs: writer.needs };
        const ended: Writer = { ...IDLE_WRITER, at: 'end' };
        if (rules.rechecksMarks && marked) yield { name: 'is locked out', state: put(nextRun(writer)) };
        else if (log.length === writer.read)
          yield { name: `commits ${writer.needs}`, state: put(ended, { log: [...log, record] }) };
        else if (!rules.createsOnly)
          yield { name: `overwrites`, state: put(ended, { log: log.with(writer.read, record) }) };
        else yield { name: 'loses the race', state: put({ ...writer, read: log.length }) };
        break;
      }
      case 'end':
        break;
    }
  }

  return {
    initial: {
      log: [{ type: 'snapshot', needs: FIRST_PACK | FIRST_ROOT }],
      store: FIRST_PACK | FIRST_ROOT,
      crashes: 0,
      writers: Array.from({ length: bounds.writers }, () => IDLE_WRITER),
      pruners: Array.from({ length: bounds.pruners }, () => IDLE_PRUNER),
    },
    steps,
    key: stateKey,
    violation(state, final) {
      const lost = neededBy(state.log) & ~state.store;
      if (lost !== 0) return `objects ${lost} of a snapshot are gone`;
      if (!final) return undefined;
      const left = pruneAlone(state) & ~neededBy(state.log);
      return left === 0 ? undefined : `objects ${left} are left after a last prune`;
    },
  };
}

/** One operation of forget and prune: src/repository/prune.ts. */
function* prunerSteps(
  rules: Protocol,
  { deletes }: Pick<Bounds, 'deletes'>,
  { log, store }: Pick<State, 'log' | 'store'>,
  pruner: Pruner,
  put: (next: Pruner, rest?: Partial<State>) => State,
): Generator<Step<State>> {
  const all = log.length;
  switch (pruner.at) {
    case 'start': {
      const read: Pruner = { ...pruner, read: all };
      yield { name: 'reads the log', state: put(finishing(read, openMarks(log), log)) };
      // Whichever a policy names; the oldest stands for them.
      if (unforgotten(log).length > 0)
        yield { name: 'reads the log, is to forget', state: put({ ...read, at: 'forget' }) };
      break;
    }
    case 'forget': {
      const [oldest] = unforgotten(log);
      if (all !== pruner.read || oldest === undefined)
        yield { name: 'loses the race', state: put({ ...pruner, at: 'start' }) };
      else {
        const longer: LogRecord[] = [...log, { type: 'forget', snapshot: oldest }];
        const next = finishing({ ...pruner, read: all + 1 }, openMarks(longer), longer);
        yield { name: `forgets snapshot ${oldest}`, state: put(next, { log: longer }) };
      }
      break;
    }
    case 'delete': {
      const [object = 0] = bits(pruner.objects);
      const rest = pruner.objects & ~object;
      const at = rest !== 0 ? 'delete' : rules.marksBeforeDeleting ? 'done' : 'end';
      const next: Pruner = { ...pruner, at, objects: rest };
      yield { name: `deletes ${object}`, state: put(next, { store: store & ~object }) };
      break;
    }
    case 'done': {
      const longer: LogRecord[] = [...log, { type: 'done', mark: pruner.mark }];
      const next: Pruner = pruner.own ? ENDED : finishing({ ...pruner, read: all + 1 }, pruner.marks, log);
      yield { name: `is done with mark ${pruner.mark}`, state: put(next, { log: longer }) };
      break;
    }
    case 'list': {
      const seen = log.slice(0, pruner.read);
      const dead = store & ~neededBy(seen) & ~openlyMarked(seen);
      if (dead === 0) yield { name: 'finds nothing to delete', state: put(ENDED) };
      // What is left is for another prune.
      for (const objects of deletes === 'all' ? [dead] : parts(dead)) {
        const at = rules.marksBeforeDeleting ? 'mark' : 'delete';
        yield { name: `is about to delete ${objects}`, state: put({ ...pruner, at, objects }) };
      }
      break;
    }
    case 'mark':
      if (all === pruner.read || !rules.marksOnlyWhatItSaw) {
        const record: LogRecord = { type: 'mark', objects: pruner.objects };
        const next: Pruner = { ...pruner, at: 'delete', mark: all, read: 0, own: true };
        yield { name: `marks ${pruner.objects}`, state: put(next, { log: [...log, record] }) };
      } else yield { name: 'is overtaken', state: put({ ...pruner, at: 'list', objects: 0, read: all }) };
      break;
    case 'end':
      break;
  }
}

/** With the first of these open marks, or, when there is none, with a look for what is dead. */
function finishing(pruner: Pruner, open: readonly number[], log: readonly LogRecord[]): Pruner {
  const [mark, ...marks] = open;
  if (mark === undefined) return { ...pruner, at: 'list', mark: NO_MARK, marks };
  const record = log[mark];
  return {
    ...pruner,
    at: 'delete',
    read: 0,
    marks,
    mark,
    objects: record?.type === 'mark' ? record.objects : 0,
  };
}

/** What is stored after one more prune, undisturbed and with no grace. */
function pruneAlone(state: State): Objects {
  let { log, store } = state;
  for (;;) {
    let pruner: Pruner = IDLE_PRUNER;
    const before = store;
    while (pruner.at !== 'end') {
      let next: { readonly pruner: Pruner; readonly rest: Partial<State> } | undefined;
      // The first choice: forgets none, and takes all that is dead.
      for (const _ of prunerSteps(
        PROTOCOL,
        { deletes: 'all' },
        { log, store },
        pruner,
        (after, rest = {}) => {
          next ??= { pruner: after, rest };
          return state;
        },
      ))
        break;
      pruner = next!.pruner;
      log = next!.rest.log ?? log;
      store = next!.rest.store ?? store;
    }
    if (store === before) return store;
  }
}

function unforgotten(log: readonly LogRecord[]): number[] {
  const numbers = log.flatMap(({ type }, number) => (type === 'snapshot' ? [number] : []));
  const forgotten = log.flatMap((record) => (record.type === 'forget' ? [record.snapshot] : []));
  return numbers.filter((number) => !forgotten.includes(number));
}

function neededBy(log: readonly LogRecord[]): Objects {
  let needed = 0;
  for (const number of unforgotten(log)) {
    const record = log[number];
    if (record?.type === 'snapshot') needed |= record.needs;
  }
  return needed;
}

function openMarks(log: readonly LogRecord[]): number[] {
  const done = log.flatMap((record) => (record.type === 'done' ? [record.mark] : []));
  const marks = log.flatMap(({ type }, number) => (type === 'mark' ? [number] : []));
  return marks.filter((number) => !done.includes(number));
}

function openlyMarked(log: readonly LogRecord[]): Objects {
  let marked = 0;
  for (const number of openMarks(log)) {
    const record = log[number];
    if (record?.type === 'mark') marked |= record.objects;
  }
  return marked;
}

function bits(objects: Objects): Objects[] {
  const found: Objects[] = [];
  for (let bit = 1; bit <= objects; bit <<= 1) if ((objects & bit) !== 0) found.push(bit);
  return found;
}

/** Every part of them that is not empty, the whole first. */
function* parts(objects: Objects): Generator<Objects> {
  for (let part = objects; part > 0; part = (part - 1) & objects) yield part;
}

/**
 * States with equal keys have equal futures: what everybody has read already is summed up as what it adds up to, objects stand
 * for the numbers of records, and which administrator is which makes no difference.
 */
function stateKey({ log, store, crashes, writers, pruners }: State): string {
  const reading = [
    ...writers
      .filter(({ at }) => at === 'root' || at === 'pack' || at === 'commit')
      .map(({ start }) => start),
    ...writers.filter(({ at }) => at === 'list').map(({ start }) => (start === 0 ? log.length : start)),
    ...pruners.filter(({ at }) => at === 'forget' || at === 'list' || at === 'mark').map(({ read }) => read),
  ];
  const base = Math.min(log.length, ...reading);
  const before = log.slice(0, base);
  const of = (number: number): Objects => {
    const record = log[number];
    return record?.type === 'mark' ? record.objects : record?.type === 'snapshot' ? record.needs : 0;
  };
  const recordKey = (record: LogRecord): string => {
    switch (record.type) {
      case 'snapshot':
        return `s${record.needs}`;
      case 'forget':
        return `f${of(record.snapshot)}`;
      case 'mark':
        return `m${record.objects}`;
      case 'done':
        return `d${of(record.mark)}`;
    }
  };
  const writerKey = ({ at, run, start, read, known, needs }: Writer): string =>
    at === 'start' || at === 'end'
      ? `${at}${run}`
      : `${at}${run}.${start - base}.${read - base}.${known}.${needs}`;
  const prunerKey = ({ at, run, read, marks, mark, own, objects }: Pruner): string => {
    const seen = at === 'forget' || at === 'list' || at === 'mark' ? read - base : 0;
    return at === 'end' ? at : `${at}${run}.${seen}.${marks.map(of).join('+')}.${of(mark)}.${own}.${objects}`;
  };
  return [
    store,
    crashes,
    unforgotten(before).map(of).join('+'),
    openMarks(before).map(of).join('+'),
    log.slice(base).map(recordKey).join(''),
    ...writers.map(writerKey),
    ...pruners.map(prunerKey).toSorted(),
  ].join(' ');
}
