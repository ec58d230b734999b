import type { Readable } from 'node:stream';
import type { StableRead } from './directory.ts';
import type { MediaCatalogue } from './port.ts';
import type { MediaStat } from './regular-file.ts';

/** An answer that a disk has at once, and a server later. */
export type SoonOrLater<T> = T | Promise<T>;

/** What a backup of media reads: a directory (`directory.ts`), or one together with a bucket (`union.ts`). */
export interface MediaSource {
  /** Names the source, for what is remembered of it. */
  readonly root: string;
  /** For messages. */
  readonly description: string;
  /** How many files to ask for at a time. */
  readonly atOnce: number;
  /** Without reading it; undefined when there is none. Ask in the order of paths. */
  look(path: string): SoonOrLater<MediaStat | undefined>;
  /** As those of `MediaDirectory`. */
  readSmall(path: string, memory: Uint8Array): SoonOrLater<StableRead<Uint8Array> | 'too large' | undefined>;
  readStable<T>(
    path: string,
    consume: (source: Readable, file: MediaStat) => Promise<T>,
  ): Promise<StableRead<T> | undefined>;
  /** Lower-case hex; undefined when it is missing. */
  sha256(path: string): Promise<string | undefined>;
  /** Files of these classes that no row names. */
  orphans(catalogue: MediaCatalogue, classes: readonly string[]): AsyncIterable<string>;
  close(): void;
}
