import { readFile } from 'node:fs/promises';

const LINES = 6;

/**
 * The last lines that a server wrote, as the end of an error message: the directory of its log is deleted when the demo is
 * over, so that the name of the file alone would lead nowhere.
 */
export async function logEnd(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length === 0 ? 'it wrote nothing' : `it wrote: ${lines.slice(-LINES).join(' / ')}`;
}
