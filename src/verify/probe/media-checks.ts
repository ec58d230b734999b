import { isLifeboatError, LifeboatError, messageOf } from '../../core/errors.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { Check } from '../../restore/step.ts';
import { hashLastPart } from './multipart-hash.ts';
import { expectThat, type Finding } from './observe.ts';
import type { MediaSample, Probe } from './probe.ts';

/** Synapse serves three requests of one server at a time by default (`rc_federation.concurrent`). */
const LANES = 3;
/** A server that stops in the middle of a file has said all it will: its file is cut. */
const SILENCE_MS = 5000;
/** After so many cut files the rest is not waited for. */
const MOST_SILENT = 6;

/**
 * Files by federation, compared with the database. Synapse serves a file with flipped bits without complaint, answers 404 for
 * a missing one, and hangs on one that is shorter than its row says: each is told apart and named.
 */
export async function* mediaChecks(probe: Probe): AsyncGenerator<Check> {
  yield await probe.observe('federation.media', 'media are served, byte for byte', () => media(probe));
}

async function media(probe: Probe): Promise<Finding> {
  const { media: samples } = probe.options.samples;
  if (samples.length === 0) return { result: 'skip', observed: 'the database knows no local media' };
  const queue = [...samples];
  const faults: string[] = [];
  let bytes = 0;
  let silent = 0;
  const lane = async () => {
    for (let sample = queue.shift(); sample !== undefined && silent < MOST_SILENT; sample = queue.shift()) {
      const { fault, isSilent } = await fetchOne(probe, sample);
      if (fault === undefined) bytes += sample.sizeBytes;
      else faults.push(`${sample.mediaId}: ${fault}`);
      if (isSilent) silent += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const good = samples.length - faults.length - queue.length;
  if (queue.length > 0) faults.push(`${queue.length} more were not asked for: too many files are cut`);
  const unhashed = samples.filter(({ sha256 }) => sha256 === null).length;
  const note =
    unhashed === 0 ? [] : [`${unhashed} have no hash in the database: only their size was compared`];
  return expectThat(
    faults.length === 0,
    `${samples.length} of ${samples.length} files`,
    `${good} of ${samples.length} files, ${formatBytes(bytes)}`,
    [...faults.toSorted(), ...note],
  );
}

interface Outcome {
  readonly fault?: string;
  readonly isSilent?: boolean;
}

/** The three faces of a file that is shorter than its row says: the answer ends, the connection breaks, or the server falls silent. */
async function fetchOne(probe: Probe, sample: MediaSample): Promise<Outcome> {
  const watch = watchdog(probe.timeoutMs);
  let received: number | undefined;
  try {
    const path = `/_matrix/federation/v1/media/download/${encodeURIComponent(sample.mediaId)}`;
    const response = await Promise.race([probe.federation.open(path, watch.signal), watch.expired]);
    if (response.statusCode !== 200) {
      response.destroy();
      return {
        fault:
          response.statusCode === 404
            ? 'not served (404): its file is missing'
            : `not served (${response.statusCode})`,
      };
    }
    const stillAlive = (total: number) => {
      received = total;
      watch.restart(Math.min(SILENCE_MS, probe.timeoutMs));
    };
    stillAlive(0);
    const hashed = hashLastPart(response.headers['content-type'] ?? '', response, stillAlive);
    const fault = difference(sample, await Promise.race([hashed, watch.expired]));
    return fault === undefined ? {} : { fault };
  } catch (error) {
    const isSilent = watch.signal.aborted;
    if (received === undefined || (isLifeboatError(error) && !isSilent))
      return { fault: messageOf(error), isSilent };
    return {
      fault: `the server ${isSilent ? 'fell silent' : 'broke off'} after ${received} of ${sample.sizeBytes} bytes: its file is cut`,
      isSilent,
    };
  } finally {
    watch.stop();
  }
}

function difference(sample: MediaSample, part: { sizeBytes: number; sha256: string }): string | undefined {
  if (part.sizeBytes !== sample.sizeBytes) return `${part.sizeBytes} bytes instead of ${sample.sizeBytes}`;
  if (sample.sha256 !== null && part.sha256 !== sample.sha256)
    return `its content is changed: sha256 ${part.sha256} instead of ${sample.sha256}`;
  return undefined;
}

/** Barks when nothing has happened for a while. */
function watchdog(firstMs: number) {
  const controller = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  expired.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const restart = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      controller.abort();
      reject(new LifeboatError('drill-failed', `no byte within ${formatDuration(ms)}`));
    }, ms);
  };
  restart(firstMs);
  return { signal: controller.signal, expired, restart, stop: () => clearTimeout(timer) };
}
