import type { Model, Step } from './explore.ts';
import {
  bits,
  markedIn,
  needsOf,
  openlyMarked,
  openMarks,
  neededBy,
  unforgotten,
  type LogRecord,
  type Objects,
  type Pruner,
  type State,
  type Writer,
} from './commit-log-state.ts';
import { stateKey } from './commit-log-key.ts';

/**
 * The protocol of docs/repository-format.md, "Writing", as small as it can be and still go wrong: hosts back up the same
 * content, administrators forget and prune, everybody may crash anywhere. Each step is one operation of the store, which is
 * atomic; what a process does between two of them concerns nobody else.
 *
 * An object is one bit, and a snapshot needs one: of a snapshot that lost something, that object alone tells the story, because
 * a writer that gives way to a mark on any of several objects gives way to a mark on that one.
 */
export interface Protocol {
  /** `writer.ts`, `log.ts`: how a snapshot gets into the log. */
  readonly commit:
    | 'compare-and-swap'
    | 'compare-and-swap, marks ignored'
    | 'last one wins'
    | 'plain object'
    | 'plain object after a re-check';
  /** `prune.ts`: how a pruner says what it is going to delete. */
  readonly mark: 'unless overtaken' | 'whatever came since' | 'never';
  /** `repository.ts`, startBackup: the log is read before the packs are listed. */
  readonly listsAfterLog: boolean;
}

export const PROTOCOL: Protocol = {
  commit: 'compare-and-swap',
  mark: 'unless overtaken',
  listsAfterLog: true,
};

export interface Bounds {
  readonly writers: number;
  readonly pruners: number;
  /** Whoever crashed, or was locked out, begins again, unless it was its last run. */
  readonly runsPerWriter: number;
  readonly runsPerPruner: number;
}

const NO_MARK = -1;
const IDLE_WRITER: Writer = { at: 'start', run: 0, start: 0, read: 0, known: 0, needs: 0 };
const ENDED_WRITER: Writer = { ...IDLE_WRITER, at: 'end' };
const IDLE_PRUNER: Pruner = {
  at: 'start',
  run: 0,
  read: 0,
  marks: [],
  mark: NO_MARK,
  own: false,
  objects: 0,
};
const ENDED_PRUNER: Pruner = { ...IDLE_PRUNER, at: 'end' };
/** The snapshot that is there at the beginning holds the content that everybody backs up. */
const FIRST_PACK: Objects = 1;

export function commitLogModel(protocol: Protocol, bounds: Bounds): Model<State> {
  const { runsPerWriter, runsPerPruner } = bounds;
  return {
    initial: {
      log: [{ type: 'snapshot', needs: FIRST_PACK }],
      store: FIRST_PACK,
      writers: Array.from({ length: bounds.writers }, () => IDLE_WRITER),
      pruners: Array.from({ length: bounds.pruners }, () => IDLE_PRUNER),
    },
    key: stateKey,

    *steps(state) {
      for (const [number, writer] of state.writers.entries()) {
        const put = (next: Writer, rest: Partial<State> = {}): State => ({
          ...state,
          ...rest,
          writers: state.writers.with(number, next),
        });
        const again: Writer =
          writer.run + 1 < runsPerWriter ? { ...IDLE_WRITER, run: writer.run + 1 } : ENDED_WRITER;
        const ownPack: Objects = 2 << (number * runsPerWriter + writer.run);
        const who = `writer ${number + 1}`;
        for (const { name, state: next } of writerSteps(protocol, state, { writer, again, ownPack, put }))
          yield { name: `${who} ${name}`, state: next };
        if (writer.at === 'start' || writer.at === 'end') continue;
        yield { name: `${who} crashes`, state: put(again) };
      }
      for (const [number, pruner] of state.pruners.entries()) {
        const put = (next: Pruner, rest: Partial<State> = {}): State => ({
          ...state,
          ...rest,
          pruners: state.pruners.with(number, next),
        });
        const again: Pruner =
          pruner.run + 1 < runsPerPruner ? { ...IDLE_PRUNER, run: pruner.run + 1 } : ENDED_PRUNER;
        const who = `pruner ${number + 1}`;
        for (const { name, state: next } of prunerSteps(protocol, state, pruner, put))
          yield { name: `${who} ${name}`, state: next };
        if (pruner.at === 'start' || pruner.at === 'end') continue;
        yield { name: `${who} crashes`, state: put(again) };
      }
    },

    violation(state, final) {
      const lost = neededBy(state.log) & ~state.store;
      if (lost !== 0) return `a committed snapshot lacks ${names(lost)}`;
      if (!final) return undefined;
      const left = storedAfterPrune(protocol, state) & ~neededBy(state.log);
      return left === 0 ? undefined : `${names(left)} stay after one more prune`;
    },
  };
}

interface WriterContext {
  readonly writer: Writer;
  /** As it begins its next run. */
  readonly again: Writer;
  /** What this run would store. */
  readonly ownPack: Objects;
  readonly put: (next: Writer, rest?: Partial<State>) => State;
}

/** One operation of a backup: repository.ts startBackup, known-blobs.ts, pack-writer.ts, writer.ts commit, log.ts append. */
function* writerSteps(
  protocol: Protocol,
  { log, store }: State,
  { writer, again, ownPack, put }: WriterContext,
): Generator<Step<State>> {
  const plain = protocol.commit.startsWith('plain object');
  const readLog = { start: log.length, read: log.length };
  const beforeCommit = protocol.commit === 'plain object after a re-check' ? 'recheck' : 'commit';
  switch (writer.at) {
    // startBackup: `log.refresh()`, and what is marked there.
    case 'start':
      yield protocol.listsAfterLog
        ? {
            name: 'reads the log',
            state: put({ ...writer, at: 'list', ...readLog, known: ~openlyMarked(log) }),
          }
        : { name: 'lists the packs', state: put({ ...writer, at: 'list', known: store }) };
      break;
    // startBackup: `loadKnownBlobs`. Of several packs with the same content it leans on any.
    case 'list': {
      const known = writer.known & (protocol.listsAfterLog ? store : ~openlyMarked(log));
      const next: Writer = { ...writer, ...(protocol.listsAfterLog ? {} : readLog), known: 0 };
      const name = protocol.listsAfterLog ? 'lists the packs' : 'reads the log';
      if (known === 0) yield { name: `${name} and knows none`, state: put({ ...next, at: 'pack' }) };
      for (const pack of bits(known))
        yield {
          name: `${name} and leans on ${names(pack)}`,
          state: put({ ...next, at: beforeCommit, needs: pack }),
        };
      break;
    }
    // createPackWriter: `store.put`.
    case 'pack':
      yield {
        name: `stores ${names(ownPack)}`,
        state: put({ ...writer, at: beforeCommit, needs: ownPack }, { store: store | ownPack }),
      };
      break;
    // In no protocol of ours: a look at the marks that is not one with the commit.
    case 'recheck':
      yield (markedIn(log.slice(writer.start)) & writer.needs) !== 0
        ? { name: 'looks at the marks and is locked out', state: put(again) }
        : { name: 'looks at the marks', state: put({ ...writer, at: 'commit', read: log.length }) };
      break;
    // append: the guard `refuseMarked` over what was read, `store.put(logKey(n + 1))`, and, when that number exists, `readNew`.
    case 'commit': {
      const record: LogRecord = { type: 'snapshot', needs: writer.needs };
      const guarded = protocol.commit === 'compare-and-swap' || protocol.commit === 'last one wins';
      const name = `commits a snapshot of ${names(writer.needs)}`;
      if (guarded && (markedIn(log.slice(writer.start, writer.read)) & writer.needs) !== 0)
        yield { name: 'is locked out', state: put(again) };
      else if (plain || log.length === writer.read)
        yield { name, state: put(ENDED_WRITER, { log: [...log, record] }) };
      else if (protocol.commit === 'last one wins')
        yield {
          name: `${name} in place of another record`,
          state: put(ENDED_WRITER, { log: log.with(writer.read, record) }),
        };
      else
        yield {
          name: 'finds the number taken and reads on',
          state: put({ ...writer, read: log.length }),
        };
      break;
    }
    case 'end':
      break;
  }
}

/** One operation of forget and prune: repository.ts forget, prune.ts prune, finishMark, deadObjects, appendUnlessOvertaken. */
function* prunerSteps(
  protocol: Protocol,
  { log, store }: Pick<State, 'log' | 'store'>,
  pruner: Pruner,
  put: (next: Pruner, rest?: Partial<State>) => State,
): Generator<Step<State>> {
  switch (pruner.at) {
    // prune: `log.refresh()`, and the marks that earlier prunes have left open. Before it, forget: `append`, whose guard looks
    // at every try whether the snapshot is still there; hence one step. The oldest stands for whichever a policy names.
    case 'start': {
      yield { name: 'reads the log', state: put(finishing(pruner, openMarks(log), log)) };
      const [oldest] = unforgotten(log);
      if (oldest === undefined) break;
      const longer: LogRecord[] = [...log, { type: 'forget', snapshot: oldest }];
      const name = `forgets the snapshot of ${names(needsOf(log, oldest))}`;
      yield { name, state: put(pruner, { log: longer }) };
      break;
    }
    // finishMark: `store.delete` of one object after the other.
    case 'delete': {
      const [object = 0] = bits(pruner.objects);
      const rest = pruner.objects & ~object;
      const over: Pruner = protocol.mark === 'never' ? ENDED_PRUNER : { ...pruner, at: 'done', objects: 0 };
      const next: Pruner = rest === 0 ? over : { ...pruner, objects: rest };
      yield { name: `deletes ${names(object)}`, state: put(next, { store: store & ~object }) };
      break;
    }
    // finishMark: `append` of `done`, which nothing forbids; then the next open mark, or a look at what is dead.
    case 'done': {
      const longer: LogRecord[] = [...log, { type: 'done', mark: pruner.mark }];
      const next = finishing(pruner, pruner.own ? [] : pruner.marks, longer);
      yield { name: `is done with mark ${pruner.mark + 1}`, state: put(next, { log: longer }) };
      break;
    }
    // deadObjects. What is older than the grace is what some clock says: any part of it.
    case 'list': {
      const seen = log.slice(0, pruner.read);
      const dead = store & ~neededBy(seen) & ~openlyMarked(seen);
      if (dead === 0) yield { name: 'finds nothing to delete', state: put(ENDED_PRUNER) };
      for (const objects of parts(dead)) {
        const at = protocol.mark === 'never' ? 'delete' : 'mark';
        yield { name: `finds ${names(objects)} dead`, state: put({ ...pruner, at, objects }) };
      }
      break;
    }
    // appendUnlessOvertaken.
    case 'mark':
      if (log.length === pruner.read || protocol.mark === 'whatever came since') {
        const record: LogRecord = { type: 'mark', objects: pruner.objects };
        const next: Pruner = { ...pruner, at: 'delete', mark: log.length, read: 0, own: true };
        yield { name: `marks ${names(pruner.objects)}`, state: put(next, { log: [...log, record] }) };
      } else
        yield { name: 'is overtaken', state: put({ ...pruner, at: 'list', objects: 0, read: log.length }) };
      break;
    case 'end':
      break;
  }
}

/** With the first of these open marks before it; or, when there is none, with a look at what is dead. */
function finishing(pruner: Pruner, open: readonly number[], log: readonly LogRecord[]): Pruner {
  const [mark, ...marks] = open;
  if (mark === undefined)
    return { ...pruner, at: 'list', read: log.length, mark: NO_MARK, marks, own: false, objects: 0 };
  return { ...pruner, at: 'delete', read: 0, marks, mark, objects: needsOf(log, mark) };
}

/** What is stored after one more prune, undisturbed, which forgets nothing and gives no grace: always the first choice. */
function storedAfterPrune(protocol: Protocol, state: State): Objects {
  let { log, store } = state;
  let pruner: Pruner = IDLE_PRUNER;
  while (pruner.at !== 'end') {
    const here: State = { log, store, writers: [], pruners: [pruner] };
    const put = (next: Pruner, rest: Partial<State> = {}): State => ({ ...here, ...rest, pruners: [next] });
    const [step] = prunerSteps(protocol, here, pruner, put);
    ({ log, store } = step!.state);
    pruner = step!.state.pruners[0]!;
  }
  return store;
}

/** Every part of them that is not empty, the whole first. */
function* parts(objects: Objects): Generator<Objects> {
  for (let part = objects; part > 0; part = (part - 1) & objects) yield part;
}

function names(objects: Objects): string {
  return bits(objects)
    .map((bit) => `pack ${Math.log2(bit) + 1}`)
    .join(' and ');
}
