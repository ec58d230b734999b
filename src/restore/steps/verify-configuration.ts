import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  configCheckArgv,
  placedPaths,
  readConfigCheck,
  readConfiguration,
  synapseVersion,
} from '../../homeserver/index.ts';
import type { RestoreContext } from '../context.ts';
import { same } from '../findings.ts';
import type { PlacedFile } from '../source.ts';
import type { Check, Step } from '../step.ts';

export const OVERLAY_FILE = 'lifeboat-overlay.yaml';

/** Step 4: the configuration as it was, an overlay for the new place, and both read by the homeserver's own code. */
export const verifyConfigurationStep: Step<RestoreContext> = {
  id: 'verify-configuration',
  number: 4,
  title: 'Verify configuration',
  requires: ['restore-signing-keys'],
  repeat: true,
  apply,
  check,
};

async function apply(context: RestoreContext): Promise<void> {
  const { source, target, found } = context;
  // Of an unfinished restore of our own: the target was empty when it began.
  await rm(target.configDirectory, { recursive: true, force: true });
  const placed = await source.placeConfig(target.configDirectory);
  const configFiles = placed.filter(({ role }) => role === 'homeserver-config').map(({ path }) => path);
  const { merged } = await readConfiguration(configFiles);
  const arrangement = await context.arrange({
    merged,
    signingKeyPath: signingKeyPath(found.keyFiles ?? []),
    placed: placedPaths(merged, [...placed, ...(found.keyFiles ?? [])]),
  });
  const overlay = join(target.configDirectory, OVERLAY_FILE);
  // 0600: the overlay holds the database password or the drill's registration secret.
  for (const { path, text } of [{ path: overlay, text: arrangement.overlay }, ...arrangement.files])
    await writeFile(path, text, { mode: 0o600 });
  await context.handOver(target.configDirectory);
  for (const { path } of arrangement.files) await context.handOver(path);
  found.configFiles = placed;
  found.defanged = arrangement.changes;
  found.launch = { program: context.program, configFiles: [...configFiles, overlay] };
}

async function* check({ source, program, exec, found }: RestoreContext): AsyncGenerator<Check> {
  const version = await synapseVersion(program);
  const versionCheck = {
    id: 'config.version',
    title: 'the homeserver has the version that the snapshot was taken of',
  };
  if (source.homeserverVersion === undefined)
    yield {
      ...versionCheck,
      result: 'skip',
      observed: `${version ?? 'unknown'}; the source does not record its version`,
    };
  else yield same(versionCheck, source.homeserverVersion, version ?? 'none');
  const launch = found.launch;
  if (launch === undefined) return;
  const read = readConfigCheck(await exec({ argv: configCheckArgv(launch) }));
  yield {
    id: 'config.parses',
    title: `the homeserver's own code reads ${launch.configFiles.length - 1} configuration files and the overlay`,
    result: read.ok ? 'pass' : 'fail',
    observed: read.problem ?? 'no complaint',
  };
  if (read.ok)
    yield same(
      { id: 'config.server-name', title: 'its server_name is the one of the database' },
      source.serverName,
      read.serverName ?? 'none',
    );
}

function signingKeyPath(keyFiles: readonly PlacedFile[]): string {
  // Without a file of its own the key stands inline in homeserver.yaml, and this path is not used.
  return keyFiles.find(({ role }) => role === 'signing-key')?.path ?? '/nonexistent';
}
