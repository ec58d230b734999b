/** What a run tells: progress events for people and `--json` readers, and a log in which no secret ever stands. */
export { createLogger, type Logger, type LogLevel } from './log.ts';
export { silent, type Progress, type ProgressEvent } from './progress.ts';
