import type { Command } from '../definition.ts';
import { backupCommand } from './backup.ts';
import { checkCommand } from './check.ts';
import { configSchemaCommand } from './config-schema.ts';
import { configValidateCommand } from './config-validate.ts';
import { copyCommand } from './copy.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { drillCommand } from './drill.ts';
import { forgetCommand } from './forget.ts';
import { initCommand } from './init.ts';
import { keysAddCommand, keysRemoveCommand } from './keys-change.ts';
import { keysListCommand } from './keys-list.ts';
import { kitCommand } from './kit.ts';
import { listCommand } from './list.ts';
import { maintenanceCommand } from './maintenance.ts';
import { pinCommand, unpinCommand } from './pin.ts';
import { pruneCommand } from './prune.ts';
import { repairIndexCommand } from './repair-index.ts';
import { repairSnapshotsCommand } from './repair-snapshots.ts';
import { restoreCommand } from './restore.ts';
import { showCommand } from './show.ts';
import { storageProbeCommand } from './storage-probe.ts';
import { unlockCommand } from './unlock.ts';
import { verifyCommand } from './verify.ts';

/** In the order of a life: set up, back up, look, prove, tidy. */
export const COMMANDS: readonly Command[] = [
  initCommand,
  backupCommand,
  listCommand,
  showCommand,
  checkCommand,
  repairIndexCommand,
  repairSnapshotsCommand,
  verifyCommand,
  drillCommand,
  restoreCommand,
  copyCommand,
  pruneCommand,
  maintenanceCommand,
  forgetCommand,
  pinCommand,
  unpinCommand,
  unlockCommand,
  keysListCommand,
  keysAddCommand,
  keysRemoveCommand,
  kitCommand,
  configValidateCommand,
  configSchemaCommand,
  storageProbeCommand,
  doctorCommand,
  demoCommand,
];
