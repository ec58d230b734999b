import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { quoted, run } from './measure.ts';
import { CHECKOUT } from './places.ts';

/** Lifeboat as npm installs it: compiled, because removing the types at every start takes longer than a small backup. */
export interface Installed {
  /** Compiled sources. */
  readonly dist: string;
  readonly program: string;
}

export async function install(workDirectory: string): Promise<Installed> {
  const root = join(workDirectory, 'installed');
  const dist = join(root, 'dist');
  await mkdir(root, { recursive: true });
  await run(
    `${quoted(process.execPath)} node_modules/typescript/bin/tsc -p tsconfig.build.json --outDir ${quoted(dist)}`,
    {
      cwd: CHECKOUT,
    },
  );
  await cp(join(CHECKOUT, 'src'), dist, { recursive: true, filter: (path) => !path.endsWith('.ts') });
  await cp(join(CHECKOUT, 'bin'), join(root, 'bin'), { recursive: true });
  await cp(join(CHECKOUT, 'package.json'), join(root, 'package.json'));
  await symlink(join(CHECKOUT, 'node_modules'), join(root, 'node_modules'));
  return { dist, program: join(root, 'bin', 'lifeboat.js') };
}
