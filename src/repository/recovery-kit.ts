import { readFile } from 'node:fs/promises';

/** Files that stand in every repository in clear, so that it can be restored without lifeboat. */
export const RECOVERY_KIT_FILES = ['RECOVER.md', 'recover.sh'] as const;

export async function recoveryKit(): Promise<Record<(typeof RECOVERY_KIT_FILES)[number], Uint8Array>> {
  const [readme, script] = await Promise.all(
    RECOVERY_KIT_FILES.map((name) => readFile(new URL(`recovery-kit/${name}`, import.meta.url))),
  );
  return { 'RECOVER.md': readme!, 'recover.sh': script! };
}
