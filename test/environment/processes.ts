import { readdir, readFile } from 'node:fs/promises';

/** Process ids whose command line holds `text`, our own excepted. A process that has ended has no command line. */
export async function processesNaming(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(text)) found.push(pid);
  }
  return found;
}

/** Waits until `holds`; the patience is for a busy machine, and is never used up when all is well. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('did not come true within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
