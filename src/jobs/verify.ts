import { createHash } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { isLifeboatError, messageOf } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import type { PhysicalEngine } from '../database/engine.ts';
import { openExternalMedia, type MediaAccess } from '../media/external.ts';
import { dumpsOf } from '../repository/dumps.ts';
import type { ArchiveRef, Content, Manifest, MediaFile } from '../repository/manifest.ts';
import type { Evidence, Repository } from '../repository/port.ts';
import type { Progress } from '../observe/progress.ts';
import { collectFindings, noneFound } from '../restore/findings.ts';
import type { Check } from '../restore/step.ts';
import { verifyPhysical } from './verify-physical.ts';

/**
 * Is the content right? Every byte of a snapshot is fetched, decrypted, decompressed and compared with the manifest, as a
 * restore would read it, but nothing is written. (`check` looks at the repository without a key; `drill` brings the
 * snapshot to life.) An aborted `signal` ends it with the blob that is being read.
 */
export async function* verifySnapshot(
  repository: Repository,
  snapshotId: string,
  progress: Progress,
  signal?: AbortSignal,
  access: MediaAccess = {},
  engine?: PhysicalEngine,
): AsyncGenerator<Check> {
  const manifest = await repository.manifest(snapshotId);
  const external = await openExternalMedia(manifest.media, access);
  const stopping = (readable: Readable) =>
    signal === undefined ? readable : addAbortSignal(signal, readable);
  const reading: Reading = {
    content: (content) => stopping(repository.read(content)),
    media: (file) => stopping(external === undefined ? repository.read(file) : external.read(file)),
    archive: (archive) => stopping(repository.readArchive(archive)),
  };
  yield {
    id: 'verify.manifest',
    title: 'the manifest opens and is complete',
    result: 'pass',
    observed: manifest.snapshotId,
  };
  const { physical } = manifest.database;
  if (physical === undefined) yield await verifyDumps(reading, manifest, progress);
  else yield* verifyPhysical(physical, engine, signal);
  yield await verifyMedia(reading, manifest, repository.mediaFilesByPack(snapshotId), progress);
  yield await verifyArchives(reading, manifest);
}

/** The repository's streams, which end when the verification is interrupted. */
interface Reading {
  readonly content: (content: Content) => Readable;
  readonly media: (file: MediaFile) => Readable;
  readonly archive: (archive: ArchiveRef) => Readable;
}

/** The record that `list` shows as the snapshot's newest verification. */
export function verifyEvidence(snapshotId: string, checks: readonly Check[]): Evidence {
  const failed = checks.filter((check) => check.result === 'fail').length;
  return {
    type: 'verify',
    snapshotId,
    result: failed === 0 ? 'PASS' : 'FAIL',
    summary: { checks: checks.length, failed },
  };
}

async function verifyDumps(reading: Reading, manifest: Manifest, progress: Progress): Promise<Check> {
  const wrong = collectFindings();
  let bytes = 0;
  for (const { name, content } of dumpsOf(manifest)) {
    progress({ phase: 'verify', message: `reading ${name}` });
    const problem = await compare(content, () => reading.content(content));
    if (problem !== undefined) wrong.add(`${name}: ${problem}`);
    bytes += content.sizeBytes;
  }
  return noneFound(
    { id: 'verify.database', title: `${formatBytes(bytes)} of dumps equal their SHA-256` },
    wrong,
    { unit: 'dumps damaged' },
  );
}

async function verifyMedia(
  reading: Reading,
  manifest: Manifest,
  listed: AsyncIterable<MediaFile>,
  progress: Progress,
): Promise<Check> {
  const wrong = collectFindings();
  let [files, bytes] = [0, 0];
  for await (const file of listed) {
    const problem = await compare(file, () => reading.media(file));
    if (problem !== undefined) wrong.add(`${file.path}: ${problem}`);
    files += 1;
    bytes += file.sizeBytes;
    progress({ phase: 'verify', done: files, total: manifest.media.files, unit: 'files' });
  }
  if (files !== manifest.media.files)
    wrong.add(`the manifest counts ${manifest.media.files} files and lists ${files}`);
  return noneFound(
    { id: 'verify.media', title: `${files} media files, ${formatBytes(bytes)}, equal their SHA-256` },
    wrong,
    { unit: 'files damaged' },
  );
}

async function verifyArchives(reading: Reading, manifest: Manifest): Promise<Check> {
  const wrong = collectFindings();
  for (const [name, archive] of [
    ['keys', manifest.keys.archive],
    ['config', manifest.config.archive],
  ] as const) {
    try {
      for await (const _chunk of reading.archive(archive)) {
        // Reading to the end is the proof: the object's name is its SHA-256, and age authenticates every byte.
      }
    } catch (error) {
      wrong.add(`${name}: ${damageOf(error)}`);
    }
  }
  return noneFound({ id: 'verify.archives', title: 'the archives of keys and configuration open' }, wrong, {
    unit: 'archives damaged',
  });
}

async function compare(expected: Content, open: () => Readable): Promise<string | undefined> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const chunk of open() as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
    }
  } catch (error) {
    return damageOf(error);
  }
  if (sizeBytes !== expected.sizeBytes) return `${sizeBytes} bytes instead of ${expected.sizeBytes}`;
  return hash.digest('hex') === expected.sha256 ? undefined : 'its SHA-256 is another';
}

/** What is wrong with the content; a disk or a store that cannot be read is thrown: it says nothing about the snapshot. */
function damageOf(error: unknown): string {
  const damaged = isLifeboatError(error, 'repository-damaged') || isLifeboatError(error, 'object-missing');
  if (!damaged) throw error;
  return messageOf(error);
}
