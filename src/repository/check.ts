import { eachConcurrently } from '../core/each-concurrently.ts';
import { isLifeboatError, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStat, ObjectStore } from '../storage/port.ts';
import { checkContents } from './check-contents.ts';
import { checkProtection } from './check-protection.ts';
import type { RepositoryConfig } from './config-file.ts';
import { stateOf, type LogState } from './log-state.ts';
import type { CommitLog } from './log.ts';
import {
  CONFIG_KEY,
  LOG_PREFIX,
  logKey,
  logSeq,
  OBJECT_CLASSES,
  promisedSha256,
  sha256Hex,
} from './object-names.ts';
import { getNamed } from './objects.ts';
import { choosePacks } from './pack-sample.ts';
import type { CheckFinding, CheckOptions, CheckResult, PackCount } from './port.ts';
import { recoveryKeys } from './recovery-keys.ts';
import { readRefs } from './refs.ts';

export interface CheckContext {
  readonly store: ObjectStore;
  readonly config: RepositoryConfig;
  readonly log: CommitLog;
  readonly identities: readonly Secret[];
  readonly clock: Clock;
}

/** What needs an object: these snapshots, which expect this size. */
interface Need {
  readonly snapshots: string[];
  sizeBytes: number | undefined;
  /** Of damage, where its class does not say it. */
  readonly consequence?: string;
}

type Needs = Map<string, Need>;

/** What a check has seen so far. */
export interface CheckReport {
  objects: number;
  bytesRead: number;
  readonly findings: CheckFinding[];
}

/**
 * Everything that can be verified without a key: the log's chain and signatures, lifeboat.json and the recovery kit by the
 * hashes that were signed, every object's bytes against its name, and that every object a snapshot needs is there.
 * Packs are read as far as `readData` says; with `decrypt` and an identity their contents are verified too.
 */
export async function checkRepository(context: CheckContext, options: CheckOptions): Promise<CheckResult> {
  const report: CheckReport = { objects: 1, bytesRead: 0, findings: [] };
  await checkLog(context, report);
  await checkRecoveryKit(context, report);
  const state = stateOf(context.log.entries);
  const needs = await collectNeeds(context, state, report);
  const { present, packs, packsRead } = await checkObjects(context, options, needs, report);
  checkPresence(needs, present, report);
  if (options.decrypt === true) {
    const read = new Set(packsRead.map(({ key }) => key));
    // One that is missing was not read, and a manifest may name it all the same.
    await checkContents(context, state, report, (key) => options.readData === 'all' || read.has(key));
  }
  const records = context.log.entries.map(({ seq }) => logKey(seq));
  const needed = [CONFIG_KEY, ...Object.keys(context.config.recovery_kit), ...records, ...needs.keys()];
  const protection = await checkProtection(context.store, needed, context.clock.now());
  const findings = await withoutForgotten(context, state, report.findings);
  const ok = findings.every(({ severity }) => severity !== 'error');
  return {
    ok,
    findings,
    objects: report.objects,
    bytesRead: report.bytesRead,
    snapshots: state.snapshots.length,
    packs: countPacks(packs),
    packsRead: countPacks(packsRead),
    protection,
  };
}

function countPacks(packs: readonly ObjectStat[]): PackCount {
  return { count: packs.length, bytes: packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

async function checkLog({ store, log, config }: CheckContext, report: CheckReport): Promise<void> {
  try {
    await log.refresh();
  } catch (error) {
    if (!isLifeboatError(error)) throw error;
    if (error.code !== 'repository-damaged' && error.code !== 'repository-rolled-back') throw error;
    const object = typeof error.context.object === 'string' ? error.context.object : LOG_PREFIX;
    report.findings.push({
      severity: 'error',
      object,
      problem: error.message,
      consequence: `records before it are sound (${log.entries.length}); what comes after it cannot be trusted`,
      snapshots: [],
    });
  }
  for await (const { key } of store.list(LOG_PREFIX)) {
    report.objects += 1;
    const seq = logSeq(key);
    if (seq === undefined || seq === 0) report.findings.push(foreign(key));
  }
  // The open repository was parsed from these bytes; they may have changed since.
  const bytes = await store.get(CONFIG_KEY);
  report.bytesRead += bytes.length;
  const first = log.entries[0]?.body;
  if (first !== undefined && first.config_sha256 !== sha256Hex(bytes)) {
    report.findings.push({
      severity: 'error',
      object: CONFIG_KEY,
      problem: `it is not the file that log record ${logKey(1)} of repository ${config.repo_id} was signed with`,
      consequence:
        'recipients or public keys may have been exchanged: put the original back before the next backup',
      snapshots: [],
    });
  }
}

/** What is missing because its snapshots were forgotten and pruned during a long check is not missing. */
async function withoutForgotten(
  { log }: CheckContext,
  before: LogState,
  findings: readonly CheckFinding[],
): Promise<CheckFinding[]> {
  await log.refresh().catch(() => {});
  const { records } = stateOf(log.entries);
  if (before.snapshots.every(({ id }) => records.has(id))) return [...findings];
  return findings
    .map((finding) => ({ finding, alive: finding.snapshots.filter((id) => records.has(id)) }))
    .filter(({ finding, alive }) => finding.snapshots.length === 0 || alive.length > 0)
    .map(({ finding, alive }) => ({ ...finding, snapshots: alive }));
}

async function checkRecoveryKit({ store, config }: CheckContext, report: CheckReport): Promise<void> {
  for (const [key, sha256] of Object.entries(config.recovery_kit)) {
    report.objects += 1;
    const bytes = await store.get(key).catch((error: unknown) => {
      if (isLifeboatError(error, 'object-missing')) return undefined;
      throw error;
    });
    report.bytesRead += bytes?.length ?? 0;
    if (bytes !== undefined && sha256Hex(bytes) === sha256) continue;
    report.findings.push({
      severity: 'error',
      object: key,
      problem: bytes === undefined ? 'it is missing' : 'it is not the file that `lifeboat init` wrote',
      consequence:
        'nothing is lost, but do not run or follow it: take the file from the documentation instead',
      snapshots: [],
    });
  }
}

/** Damaged refs are reported here; what they would have listed is then unknown. */
async function collectNeeds(
  { store, config, log }: CheckContext,
  state: LogState,
  report: CheckReport,
): Promise<Needs> {
  const needs: Needs = new Map();
  const need = (key: string, snapshot: string, sizeBytes?: number): void => {
    const found = needs.get(key);
    if (found === undefined) needs.set(key, { snapshots: [snapshot], sizeBytes });
    else {
      // Snapshots come one after the other.
      if (found.snapshots.at(-1) !== snapshot) found.snapshots.push(snapshot);
      found.sizeBytes ??= sizeBytes;
    }
  };
  const ofAll = (consequence: string): Need => ({
    snapshots: state.snapshots.map(({ id }) => id),
    sizeBytes: undefined,
    consequence,
  });
  needs.set(config.id_key_object, ofAll(ID_KEY_LOST));
  needs.set(recoveryKeys(config, log.entries).dataKeyObject, ofAll(DATA_KEY_LOST));
  for (const record of state.records.values()) {
    need(record.manifest, record.id);
    for (const refs of record.refs) {
      need(refs, record.id);
      try {
        for (const [key, sizeBytes] of await readRefs(store, refs)) need(key, record.id, sizeBytes);
      } catch (error) {
        if (!isLifeboatError(error, 'repository-damaged')) throw error;
        report.findings.push(damagedFinding(refs, error.message, needs.get(refs)));
      }
    }
  }
  return needs;
}

/** One is read while another is hashed; more would cost 80 MiB of memory each. */
const OBJECTS_AT_ONCE = 2;

interface CheckedObjects {
  /** Key -> size of everything that was listed. */
  readonly present: ReadonlyMap<string, number>;
  readonly packs: readonly ObjectStat[];
  readonly packsRead: readonly ObjectStat[];
}

/** Lists all objects, and hashes them: packs as far as asked for, all others always, for they are small. */
async function checkObjects(
  { store }: CheckContext,
  options: CheckOptions,
  needs: Needs,
  report: CheckReport,
): Promise<CheckedObjects> {
  const present = new Map<string, number>();
  const packs: ObjectStat[] = [];
  for (const objectClass of OBJECT_CLASSES) {
    await eachConcurrently(store.list(`${objectClass}/`), OBJECTS_AT_ONCE, async (stat) => {
      options.signal?.throwIfAborted();
      report.objects += 1;
      present.set(stat.key, stat.sizeBytes);
      if (promisedSha256(stat.key) === undefined) report.findings.push(foreign(stat.key));
      else if (objectClass === 'packs') packs.push(stat);
      else if (report.findings.every(({ object }) => object !== stat.key))
        await checkBytes(store, stat, needs, report);
    });
  }
  const packsRead = choosePacks(packs, options.readData);
  await eachConcurrently(packsRead, OBJECTS_AT_ONCE, async (pack) => {
    options.signal?.throwIfAborted();
    await checkBytes(store, pack, needs, report);
  });
  return { present, packs, packsRead };
}

async function checkBytes(
  store: ObjectStore,
  { key, sizeBytes }: ObjectStat,
  needs: Needs,
  report: CheckReport,
): Promise<void> {
  try {
    await getNamed(store, key);
    report.bytesRead += sizeBytes;
  } catch (error) {
    if (!isOfObject(error)) throw error;
    report.findings.push(damagedFinding(key, messageOf(error), needs.get(key)));
  }
}

/** What a disk says of one file, and not of this process or of the whole place: its sectors, or something else under its name. */
const OF_ONE_FILE = new Set(['EIO', 'ELOOP', 'EISDIR', 'ENXIO']);

/**
 * A line that is down, a right that is missing and a process that has too many files open say nothing about the object: who
 * takes them for damage forgets snapshots that are sound.
 */
function isOfObject(error: unknown): boolean {
  if (!isLifeboatError(error)) return false;
  if (error.code === 'repository-damaged') return true;
  if (error.code !== 'file-unreadable') return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === undefined || OF_ONE_FILE.has(code);
}

function checkPresence(needs: Needs, present: ReadonlyMap<string, number>, report: CheckReport): void {
  const reported = new Set(report.findings.map(({ object }) => object));
  for (const [key, need] of needs) {
    const found = present.get(key);
    const { sizeBytes } = need;
    if (reported.has(key)) continue;
    if (found === undefined) report.findings.push(damagedFinding(key, 'it is missing', need));
    else if (sizeBytes !== undefined && found !== sizeBytes) {
      report.findings.push(damagedFinding(key, `it has ${found} bytes instead of ${sizeBytes}`, need));
    }
  }
}

const CONSEQUENCE: Readonly<Record<string, string>> = {
  packs:
    'contents of these snapshots are lost here: restore the object from a second repository, or back up again',
  index:
    'nothing is lost: the next backup stores again what it described, unless `lifeboat repair index` describes it before; these snapshots name it until they are forgotten',
  manifests:
    'these snapshots, or a part of their list of media, cannot be restored from here: restore the object from a second repository',
  refs: 'nothing is lost, but prune refuses to work until the object is restored or the snapshot is forgotten',
  archives:
    'the signing keys or the configuration of these snapshots are lost here: restore the object from a second repository',
};
const ID_KEY_LOST =
  'blobs cannot be compared with their ids: restore the object from a second repository, or by `recover.sh`, which does without';
const DATA_KEY_LOST =
  'no recovery identity opens anything here: put the object back from a second repository or from a recovery kit';

function damagedFinding(key: string, problem: string, need: Need | undefined): CheckFinding {
  const objectClass = key.slice(0, key.indexOf('/'));
  return {
    severity: 'error',
    object: key,
    problem,
    consequence:
      need === undefined
        ? 'no snapshot needs it; prune removes it'
        : (need.consequence ?? CONSEQUENCE[objectClass] ?? ''),
    snapshots: need?.snapshots ?? [],
  };
}

function foreign(key: string): CheckFinding {
  return {
    severity: 'warning',
    object: key,
    problem: 'it is not named like an object of a repository',
    consequence: 'lifeboat neither reads nor removes it: find out who put it there',
    snapshots: [],
  };
}
