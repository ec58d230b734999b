/**
 * PostgreSQL as backup and restore need it: one exported snapshot in which dump and facts agree, pg_dump as a stream that
 * fails when pg_dump fails, restore into an empty database only, and invariants that are measured before and after.
 */
export { connect } from './postgres/connect.ts';
export { joinSnapshot, openSnapshot, type DatabaseSnapshot } from './postgres/snapshot.ts';
export { openSnapshotsTogether } from './postgres/snapshots-together.ts';
export { measureWholeDatabase, otherDatabasesOfCluster } from './postgres/whole-database.ts';
export { dumpDatabase, type DatabaseDump, type DumpOptions } from './postgres/dump.ts';
export {
  defaultLanes,
  planDump,
  qualified,
  type DumpPart,
  type DumpPlan,
  type TableName,
} from './postgres/lanes/plan.ts';
export { lockTables, tableSizes } from './postgres/lanes/tables.ts';
export { clusterFacts, databaseWarnings } from './postgres/cluster-facts.ts';
export { rolesSql } from './postgres/roles-sql.ts';
export { databaseInfo, type DatabaseInfo } from './postgres/info.ts';
export {
  compareInvariants,
  measureInvariants,
  sequenceValues,
  type Difference,
} from './postgres/invariants.ts';
export { identifier as quoted } from './postgres/invariants.ts';
export { indexStates, type IndexState } from './postgres/index-bloat.ts';
export { amcheck, amcheckAbility } from './postgres/amcheck.ts';
export { tableDigest } from './postgres/digest.ts';
export { assertEmpty, createDatabase } from './postgres/empty.ts';
export { detectDumpFormat, type DumpFormat } from './postgres/dump-format.ts';
export { codeInDatabase, codeInListing, type DatabaseCode } from './postgres/code.ts';
export {
  pgListArgv,
  pgRestoreArgv,
  restorePasses,
  psqlFileArgv,
  requireHarmlessContents,
} from './postgres/restore.ts';
export { isSchemaChange } from './postgres/schema-change.ts';
export { exclusiveLocks, givenUp, setbackOf, standbyHint, type Setback } from './postgres/begin-again.ts';
export { guardAgainstPileUp } from './postgres/pile-up.ts';
export { sourceState } from './postgres/source-state.ts';
export { vacuumState, vacuumWarning } from './postgres/vacuum-pressure.ts';
export { saferClient } from './postgres/client-version.ts';
export { describeDumpClient } from './postgres/dump-client.ts';
export { describeWay } from './ways/commands.ts';
export { clientEnvironment, newestClient, newestOf, withPasswordFile } from './postgres/client.ts';
export { committedSince, openRecoverableSnapshot } from './postgres/recoverable-snapshot.ts';
export { pgBackRest } from './pgbackrest/engine.ts';
export { segmentAfter, segmentsBetween, timelineOf } from './pgbackrest/wal-segment.ts';
