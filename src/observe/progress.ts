/** What a long job is doing. Phases are stable names (`database`, `media`, `restore-database` ...). */
export interface ProgressEvent {
  readonly phase: string;
  /** Of those of a phase that work beside each other, such as the lanes of a dump. */
  readonly lane?: string;
  readonly message?: string;
  /** So far, from the beginning of the phase or lane; where the end is known, of `total`, which may be an estimate. */
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'files' | 'steps';
  /** Of files and steps: the bytes that they came to so far. */
  readonly bytes?: number;
}

export type Progress = (event: ProgressEvent) => void;

export const silent: Progress = () => undefined;
