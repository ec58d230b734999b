import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

/**
 * The end of a text file that lies where somebody else may write, such as the log of a drilled server: a link in its place
 * would show a report what only we may read (O_NOFOLLOW), a pipe would hold us up (O_NONBLOCK). The folder is to be ours.
 *
 * @returns at most the last `longestBytes`; '' when it is no regular file
 * @throws the error of open(2): ENOENT, ELOOP for a link
 */
export async function endOfForeignFile(path: string, longestBytes: number): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stats = await file.stat();
  if (!stats.isFile() || stats.size === 0) return '';
  const start = Math.max(0, stats.size - longestBytes);
  // As far as it went when we looked: a server that writes faster than we read would never end.
  return await text(file.createReadStream({ start, end: stats.size - 1, autoClose: false }));
}
