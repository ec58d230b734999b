/** What a long job is doing. Phases are stable names (`database`, `media`, `restore-database` ...). */
export interface ProgressEvent {
  readonly phase: string;
  readonly message?: string;
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'files' | 'steps';
}

export type Progress = (event: ProgressEvent) => void;

export const silent: Progress = () => undefined;
