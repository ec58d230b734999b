import { dirname } from 'node:path';
import { machineAt } from '../surroundings/machine.ts';
import { ansible } from './ansible.ts';
import { compose } from './compose.ts';
import { debian } from './debian.ts';
import { helm } from './helm.ts';
import type { Detector, FoundLayout, LayoutName } from './layout.ts';
import { venv } from './venv.ts';

export type { DatabaseVia, FoundLayout, LayoutName } from './layout.ts';

const DETECTORS: Readonly<Record<LayoutName, Detector>> = { debian, venv, compose, ansible, helm };

export const LAYOUTS = Object.keys(DETECTORS) as readonly LayoutName[];

/** All homeservers that the usual ways of installing one have left on this machine. Reads only. */
export async function findLayouts(directory: string, root = '/'): Promise<FoundLayout[]> {
  const machine = machineAt(root);
  const found = await Promise.all(Object.values(DETECTORS).map((detect) => detect(machine, directory)));
  const seen = new Set<string>();
  // The same directory under two names, as `.` and as one of the usual places.
  return found.flat().filter(({ configFiles }) => !seen.has(configFiles[0]!) && seen.add(configFiles[0]!));
}

/** The layout that a configuration file belongs to: looked for beside it and in the directories above. */
export async function layoutOfFile(file: string, root = '/'): Promise<FoundLayout | undefined> {
  let directory = dirname(file);
  for (let up = 0; up < 4; up += 1, directory = dirname(directory)) {
    const found = (await findLayouts(directory, root)).find(({ configFiles }) => configFiles.includes(file));
    if (found !== undefined) return found;
    if (directory === '/') break;
  }
  return undefined;
}
