import { LifeboatError } from '../core/errors.ts';
import { timelineOf } from '../database/index.ts';
import type { PhysicalBackup } from '../repository/manifest.ts';
import type { RestoreSource } from '../restore/source.ts';

/** Brings the cluster back into an empty data directory, recovered to the instant of the snapshot. Pure. */
function restoreCommand({ stanza, repo, label, target }: PhysicalBackup): string {
  return [
    `pgbackrest --stanza=${stanza} --repo=${repo} --set=${label} --archive-mode=off`,
    `--target-timeline=0x${timelineOf(target.walFile)} --recovery-option=recovery_target_lsn=${target.lsn}`,
    '--recovery-option=recovery_target_inclusive=off --recovery-option=recovery_target_action=promote restore',
  ].join(' ');
}

/**
 * A physical backup is a whole cluster with all its databases, roles and settings: where that may come to life is for the
 * admin of the machine to say, and nothing here takes over a data directory. Errors: `target-unfit` with the way by hand.
 */
export function requireDumps({ physical, serverName }: RestoreSource): void {
  if (physical === undefined) return;
  throw new LifeboatError(
    'target-unfit',
    `the database of this snapshot is the pgBackRest backup ${physical.backup.label}, a whole cluster, which lifeboat restores in drills only`,
    {
      hint: [
        `With PostgreSQL stopped and its data directory empty, as its owner: ${restoreCommand(physical.backup)}`,
        `Start PostgreSQL, then in ${physical.database}: TRUNCATE e2e_one_time_keys_json; and what else RECOVER.md says for ${serverName}.`,
        'Restore the rest with --only media, --only keys and --only config.',
      ],
      context: { label: physical.backup.label, stanza: physical.backup.stanza },
    },
  );
}
