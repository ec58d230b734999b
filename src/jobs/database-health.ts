/**
 * What this host remembers of the database from run to run: rows that vanished without an error, and indexes that are damaged
 * at their source, where no drill can see it.
 */
import type { Config } from '../config/index.ts';
import { messageOf } from '../core/errors.ts';
import { amcheck, amcheckAbility, connect } from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Homeserver } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { Invariants } from '../repository/manifest.ts';
import { ALARM_TAG } from '../repository/index.ts';
import { healthStatePath, readHealthState, writeHealthState, type HealthState } from './health-state.ts';
import { describeAlarm, mergeAlarms, unexplained, whatToDo, type Counts } from './row-counts.ts';

export interface HealthOptions {
  readonly config: Config;
  readonly repositoryId: string;
  readonly kind: Pick<Homeserver, 'rowRules'>;
  readonly target: PostgresTarget;
  readonly invariants: Invariants;
  readonly snapshot: string;
  /** The admin knows why rows are gone: what is there now is right. */
  readonly acceptChanges: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface Health {
  /** Loud lines: for the manifest and for the admin. */
  readonly alarms: readonly string[];
  /** Of the snapshot: retention does not let it push out those before the alarm. */
  readonly tags: readonly string[];
  /** After the commit: remembers the counts, and checks the indexes when that is due. Resolves to what went wrong. */
  finish(): Promise<readonly string[]>;
}

/** Compares with the last run. Errors: none, it is told as an alarm. */
export async function databaseHealth(options: HealthOptions): Promise<Health> {
  const { config, kind, invariants, target, snapshot } = options;
  const path = healthStatePath(config.repository.stateDirectory, options.repositoryId, target.database);
  const troubles: string[] = [];
  const before = await readHealthState(path).catch((error: unknown) => {
    troubles.push(`ALARM: ${messageOf(error)}; this run counts as the first`);
    return undefined;
  });
  const { tableRows, indexes, facts } = invariants;
  const counts: Counts = { snapshot, at: new Date().toISOString(), tableRows, indexes, facts };
  const fresh = before === undefined ? [] : unexplained(before.counts, counts, kind.rowRules);
  const alarms = options.acceptChanges ? [] : mergeAlarms(before?.alarms ?? [], fresh);
  const told = alarms.map((alarm) => describeAlarm(alarm, kind.rowRules));
  const state: HealthState = {
    v: 1,
    database: target.database,
    counts: { ...counts, tableRows: { ...tableRows }, indexes: [...indexes], facts: { ...facts } },
    alarms,
    amcheck: before?.amcheck,
  };
  return {
    alarms: [...troubles, ...told, ...(alarms.length === 0 ? [] : [whatToDo(alarms)])],
    tags: alarms.length === 0 ? [] : [ALARM_TAG],
    finish: async () => {
      try {
        await writeHealthState(path, state);
        const checked = await checkIndexes(options, before?.amcheck);
        if (checked === undefined) return [];
        await writeHealthState(path, { ...state, amcheck: checked });
        return checked.findings.map(
          (finding) => `ALARM: ${finding}; REINDEX it, and look for what damaged it`,
        );
      } catch (error) {
        return [
          `what was counted could not be remembered, or the indexes not be checked: ${messageOf(error)}`,
        ];
      }
    },
  };
}

/** Undefined: it is not due, or cannot be done. What found damage is done again each time, until it is mended. */
async function checkIndexes(
  { config, target, progress, snapshot, signal }: HealthOptions,
  last: HealthState['amcheck'],
): Promise<NonNullable<HealthState['amcheck']> | undefined> {
  const age = last === undefined ? Infinity : Date.now() - Date.parse(last.at);
  const damaged = last !== undefined && last.findings.length > 0;
  // A clock that was set back must not put it off for ever.
  const due = damaged || !(age >= 0 && age < config.database.amcheckEveryMs);
  if (!due || config.database.amcheckEveryMs === Infinity) return undefined;
  await using session = await connect(target, {
    applicationName: `lifeboat:${snapshot.slice(0, 8)}:amcheck`,
  });
  const ability = await amcheckAbility(session);
  if (!ability.able) return undefined;
  progress({ phase: 'database', message: 'checking the indexes (amcheck)' });
  const { findings } = await amcheck(session, ability.schema, {
    lockTimeoutMs: config.database.yieldAfterMs,
    signal,
  });
  return { at: new Date().toISOString(), findings: [...findings] };
}
