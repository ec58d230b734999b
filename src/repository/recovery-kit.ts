import { readFile } from 'node:fs/promises';

/** Files that stand in every repository in clear, so that it can be restored without lifeboat. */
const KIT = ['RECOVER.md', 'recover.sh'] as const;

export async function recoveryKit(): Promise<Record<(typeof KIT)[number], Uint8Array>> {
  const [readme, script] = await Promise.all(
    KIT.map((name) => readFile(new URL(`recovery-kit/${name}`, import.meta.url))),
  );
  return { 'RECOVER.md': readme!, 'recover.sh': script! };
}
