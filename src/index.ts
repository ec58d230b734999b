/**
 * Lifeboat as a library, for who verifies backups in a test or a job of their own:
 *
 *   const config = await loadConfig('lifeboat.yaml', process.env);
 *   const repository = await openAt(config.repository, systemClock);
 *   const { id } = await repository.resolve('latest');
 *   const report = await drill({ source: await snapshotSource(repository, id), ... });
 *
 * The functions are those that the commands call. They print nothing, tell what they do through `progress`, stop in good
 * order when `signal` is aborted, and throw a `LifeboatError` whose `code` is one of `ERROR_TABLE`.
 */
export { systemClock, type Clock } from './core/clock.ts';
export { ERROR_TABLE, EXIT, isLifeboatError, LifeboatError, type ErrorCode } from './core/errors.ts';
export { Secret } from './core/secret.ts';
export { configJsonSchema, findConfig, loadConfig, type Config } from './config/index.ts';
export type { Progress, ProgressEvent } from './observe/index.ts';

export { createRepository, openRepository, planRetention, type RetentionPolicy } from './repository/index.ts';
export type { Manifest } from './repository/manifest.ts';
export type { CheckResult, CommitResult, Repository, SnapshotEntry } from './repository/port.ts';
export { openLocalStore } from './storage/local.ts';
export type { ObjectStore } from './storage/port.ts';

export { openAt, type RepositoryPlace } from './jobs/open.ts';
export { initialise, planInit, type InitOptions, type InitOutcome } from './jobs/init.ts';
export {
  backup,
  planBackup,
  type BackupOptions,
  type BackupOutcome,
  type BackupPlan,
} from './jobs/backup.ts';
export { verifyEvidence, verifySnapshot } from './jobs/verify.ts';
export { homeserverProgram } from './jobs/program.ts';
export { drill, type DrillOptions } from './jobs/drill.ts';
export { drillEvidence } from './jobs/drill-evidence.ts';
export { restore, type RestoreOptions, type RestoreOutcome } from './jobs/restore.ts';
export { pruneRepository, type PruneJobOptions, type PruneOutcome } from './jobs/prune.ts';
export { VERSION } from './jobs/version.ts';

export { filesSource, type FilesSourceOptions } from './restore/files-source.ts';
export { snapshotSource } from './restore/snapshot-source.ts';
export type { RestoreSource } from './restore/source.ts';
export type { Check, StepResult } from './restore/step.ts';
export {
  renderHtml,
  renderJson,
  renderJunit,
  renderMarkdown,
  renderTerminal,
  writeReport,
  writeReports,
  type DrillReport,
} from './verify/report/index.ts';
