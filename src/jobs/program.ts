import { LifeboatError } from '../core/errors.ts';
import type { Config } from '../config/index.ts';
import { homeserverOf } from '../homeserver/index.ts';
import { findProgram } from '../homeserver/synapse/program.ts';

/**
 * The interpreter of a homeserver's installation on this machine, for drill and restore: the one given, else the one in
 * lifeboat.yaml, else a usual place, else that which the homeserver's configuration or its running process leads to.
 * Errors: `drill-impossible` when there is none, `homeserver-config-invalid` when the given one has no homeserver.
 */
export async function homeserverProgram(
  given: string | undefined,
  config: Config | undefined,
  homeserverConfig: readonly string[] = [],
): Promise<string> {
  const found =
    (await findProgram(given ?? config?.homeserver.program, [], '/')).found?.program ??
    (await besideConfiguration(config?.homeserver.config ?? homeserverConfig));
  if (found !== undefined) return found;
  throw new LifeboatError('drill-impossible', 'there is no Synapse on this machine', {
    hint: [
      'Install the version of the snapshot: python3 -m venv DIR && DIR/bin/pip install matrix-synapse psycopg2-binary',
      'Then name its interpreter with --program DIR/bin/python.',
    ],
  });
}

/** Where only restores are made, the homeserver's configuration of lifeboat.yaml is not there. */
async function besideConfiguration(configFiles: readonly string[]): Promise<string | undefined> {
  if (configFiles.length === 0) return undefined;
  const inventory = await homeserverOf('synapse')
    .discover({ configFiles })
    .catch(() => undefined);
  return inventory?.program;
}
