/**
 * The repository: where snapshots live, encrypted to age recipients. Specification: docs/repository-format.md.
 * A *blob* is a piece of content, named by a keyed hash; a *pack* is an age file of many blobs; the *index* says which blob is in
 * which pack; a *manifest* (root and media shards) is what one snapshot consists of; *refs* list the objects it needs; the
 * *log* is a chain of signed records, and a snapshot exists when its record does.
 * Writing: pieces -> blobs -> packs -> index -> manifest -> refs -> record (create-only: compare and swap). Nothing is ever
 * changed; only `prune` deletes, after a `mark` that every writer sees before it can commit.
 * Reading: record -> manifest -> packs. The host's keys write and read the index, but open no pack and no manifest.
 */
export { createRepository, type CreatedRepository, type CreateRepositoryOptions } from './init.ts';
export { openRepository, type OpenRepositoryOptions } from './repository.ts';
export { brokenSnapshots, reasonToForget } from './repair-snapshots.ts';
export { replicate, type ReplicateResult } from './replicate.ts';
export { ALARM_TAG, planRetention, type RetentionDecision, type RetentionPolicy } from './retention.ts';
