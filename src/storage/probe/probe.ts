import { randomBytes } from 'node:crypto';
import { eachConcurrently } from '../../core/each-concurrently.ts';
import { isLifeboatError, LifeboatError } from '../../core/errors.ts';
import type { ObjectStore } from '../port.ts';
import { listed, PROBE_CASES, type ProbeCase, type ProbeGround } from './cases.ts';
import { featureFindings } from './features.ts';

export interface ProbeFinding {
  readonly title: string;
  /** `failed`: Lifeboat cannot use the place; `absent`: it can, without this; `unknown`: not to be found out. */
  readonly result: 'ok' | 'failed' | 'absent' | 'unknown';
  readonly observed: string;
  /** For Lifeboat. */
  readonly meaning: string;
}

export interface ProbeOptions {
  /** Days of Object Lock that the configuration asks for. The clients given here must not lock what they write. */
  readonly lockDays?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onCase?: ((title: string) => void) | undefined;
}

export interface ProbeOutcome {
  readonly location: string;
  readonly findings: readonly ProbeFinding[];
  /** Objects of the probe that could not be removed, and below which prefix they lie. */
  readonly left: number;
  readonly prefix: string;
}

/** More than a page of S3. */
const LISTED = 1100;
const LISTED_IF_KEPT = 20;
const AT_ONCE = 16;

/**
 * Tries at a place what a backup will rely on, below a random prefix of its own, and removes what it wrote.
 * Errors: `interrupted`, and those of a place that cannot be written to or reached at all.
 */
export async function probe(
  store: ObjectStore,
  another: ObjectStore,
  options: ProbeOptions = {},
): Promise<ProbeOutcome> {
  const folder = `lifeboat-probe-${randomBytes(8).toString('hex')}`;
  const prefix = `${folder}/`;
  const findings: ProbeFinding[] = [];
  // What fails here is the access, not the store: it is told as everywhere, and nothing is there to be removed.
  await store.put(`${prefix}first`, Buffer.from('probe of lifeboat\n'));
  try {
    const features = await store.examine?.(`${prefix}damaged`);
    const kept = features?.defaultLockDays !== undefined;
    const ground = { store, another, prefix, listed: kept ? LISTED_IF_KEPT : LISTED };
    for (const one of PROBE_CASES) {
      requireGoOn(options.signal);
      options.onCase?.(one.title);
      findings.push(await look(one, ground));
    }
    findings.push(...featureFindings(features, options.lockDays));
  } catch (error) {
    await removeAll(store, folder);
    throw error;
  }
  return { location: store.location, findings, left: await removeAll(store, folder), prefix };
}

async function look(
  { title, needed, means, without, look: act }: ProbeCase,
  ground: ProbeGround,
): Promise<ProbeFinding> {
  const bad = needed ? 'failed' : 'absent';
  try {
    const { works, observed } = await act(ground);
    return works
      ? { title, result: 'ok', observed, meaning: means }
      : { title, result: bad, observed, meaning: without };
  } catch (error) {
    if (!isLifeboatError(error) || error.transient) throw error;
    return { title, result: bad, observed: error.message, meaning: without };
  }
}

/** Resolves to how many objects are still there. */
async function removeAll(store: ObjectStore, folder: string): Promise<number> {
  try {
    await eachConcurrently(await listed(store, `${folder}/`), AT_ONCE, async ({ key }) => {
      await store.delete(key).catch(() => undefined);
    });
    await store.removeFolder?.(folder);
    return (await listed(store, `${folder}/`)).length;
  } catch {
    // Credentials that may not list. What is told is what the cases have said.
    return 0;
  }
}

function requireGoOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true)
    throw new LifeboatError('interrupted', 'interrupted while the store was probed', {
      hint: 'What the probe wrote was removed, as far as the credentials allow.',
    });
}
