/**
 * lifeboat.yaml: strict, with file, line and column in every complaint, secrets by reference, and `${ENV}` in any value.
 * This room also owns the YAML parser for everybody else, and zod (`zod.ts`).
 */
export type { Config } from './config.ts';
export type { Hook, HookedJob, JobHooks } from './running.ts';
export type { ContainerHop, DatabaseWay, SshHop } from './database-way.ts';
export { findConfig, loadConfig, parseConfig } from './load.ts';
export type { PgBackRestSettings } from './pgbackrest.ts';
export { placeOf } from './media.ts';
export type { S3SyncSettings } from './media-s3.ts';
export type { MediaSettings, RsyncSettings } from './media.ts';
export { renderConfig, type NewConfig, type StoreReach } from './render.ts';
export { configJsonSchema } from './schema.ts';
export { resolvePlace, type CopyPlace, type SftpSettings, type StorePlace } from './store.ts';
