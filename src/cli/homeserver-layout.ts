import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LifeboatError } from '../core/errors.ts';
import { findLayouts, layoutOfFile, LAYOUTS, type FoundLayout } from '../homeserver/index.ts';

export interface ChosenHomeserver {
  readonly homeserverConfig: readonly string[];
  readonly layout: FoundLayout | undefined;
}

/** Where the official image has it, for a lifeboat that runs in a container of it. */
const IN_IMAGE = '/data/homeserver.yaml';

/**
 * What `init` is to back up: the files that were named, with the mounts of their container where they belong to one; else the one
 * homeserver that is found. Errors: `usage` when there is none, or more than one.
 */
export async function chooseHomeserver(
  given: readonly string[] | undefined,
  wanted: string | undefined,
  { directory = process.cwd(), root = '/' } = {},
): Promise<ChosenHomeserver> {
  if (wanted !== undefined && !LAYOUTS.some((name) => name === wanted))
    throw new LifeboatError('usage', `there is no layout ${wanted}`, {
      hint: `Use one of: ${LAYOUTS.join(', ')}.`,
    });
  if (given !== undefined) {
    const found = given.length === 1 ? await layoutOfFile(resolve(given[0]!), root) : undefined;
    // What was named is what is read; of a container it must be known where its paths lead.
    return { homeserverConfig: given, layout: found?.paths === undefined ? undefined : found };
  }
  const found = (await findLayouts(directory, root)).filter(
    ({ layout }) => wanted === undefined || layout === wanted,
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return { homeserverConfig: only.configFiles, layout: only };
  if (only === undefined && wanted === undefined && (await isThere(IN_IMAGE)))
    return { homeserverConfig: [IN_IMAGE], layout: undefined };
  throw only === undefined ? none(wanted, directory) : several(found);
}

function none(wanted: string | undefined, directory: string): LifeboatError {
  const what = wanted === undefined ? 'homeserver' : `homeserver of the layout ${wanted}`;
  return new LifeboatError('usage', `no ${what} was found in the usual places and in ${directory}`, {
    hint: 'Name its configuration with --homeserver-config FILE (docs/discovery.md says what is looked for).',
  });
}

function several(found: readonly FoundLayout[]): LifeboatError {
  const list = found.map(({ title, configFiles }) => `${configFiles[0]} (${title})`).join(', ');
  return new LifeboatError('usage', `${found.length} homeservers were found: ${list}`, {
    hint: 'Say which with --homeserver-config FILE, or --layout NAME.',
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
