/**
 * Homeservers: one folder a kind, behind the port in port.ts.
 *
 * - discover: the configuration, and everything that it names: files, secrets, database, media (`Inventory`);
 * - facts, catalogue: what its database says, in the caller's transaction;
 * - integrity, cleanse: what must be true of a restored database, and what it needs before its first start;
 * - defang, launch: how a restored copy is started so that it does no harm.
 */
import { LifeboatError } from '../core/errors.ts';
import type { Homeserver } from './port.ts';
import { synapse } from './synapse/index.ts';

export {
  fingerprint,
  formatSigningKey,
  oldSigningKeysBlock,
  parseSigningKeys,
  readSigningKeys,
} from './synapse/signing-key.ts';
export { checkIntegrity, type IntegrityFinding } from './synapse/integrity.ts';
export { cleanse, type CleanseResult } from './synapse/cleanse.ts';
export { defang, type Change, type Defanged, type Drill } from './synapse/defang.ts';
export {
  configCheckArgv,
  keyFingerprints,
  readConfigCheck,
  READINESS,
  requireSameKeys,
  startArgv,
  verifyVersion,
  type ConfigCheck,
  type Launch,
} from './synapse/launch.ts';
export { placedPaths } from './synapse/placed-paths.ts';
export { relocate, type NewPlace, type Relocated } from './synapse/relocate.ts';
export { findLayouts, layoutOfFile, LAYOUTS, type FoundLayout } from './synapse/layouts/index.ts';
export { findSurroundings } from './synapse/surroundings/index.ts';
export { synapseAdmin, type SynapseAdmin } from './synapse/admin.ts';
export { isOwnCode } from './synapse/own-code.ts';
export { drawSamples, type Samples } from './synapse/samples.ts';
export { readConfiguration } from './synapse/configuration.ts';
export { synapseVersion } from './synapse/program.ts';

const KINDS: Readonly<Record<string, Homeserver>> = { synapse };

/** Errors: `homeserver-config-invalid` for a kind that is not supported. */
export function homeserverOf(kind: string): Homeserver {
  const found = KINDS[kind];
  if (found !== undefined) return found;
  throw new LifeboatError('homeserver-config-invalid', `homeservers of kind ${kind} are not supported`, {
    hint: `Use one of: ${Object.keys(KINDS).join(', ')}.`,
  });
}
