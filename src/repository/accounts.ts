import { readFile } from 'node:fs/promises';
import type { Owner } from './archive-extract.ts';
import type { ArchivedFile } from './manifest.ts';

/** Users and groups of this machine, as passwd(5) and group(5) list them; accounts of a directory service are not among them. */
export interface Accounts {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
  /**
   * Who is to own a restored file here: the user and group of the same names. A file whose owner had no name there (a container's
   * user) keeps its numbers. Undefined when this machine has no such user: the file stays with whoever restores.
   */
  ownerOf(file: ArchivedFile): Owner | undefined;
}

export async function readAccounts(root = '/etc'): Promise<Accounts> {
  const users = parse(await readFile(`${root}/passwd`, 'utf8').catch(() => ''));
  const groups = parse(await readFile(`${root}/group`, 'utf8').catch(() => ''));
  return {
    userName: (uid) => users.names.get(uid),
    groupName: (gid) => groups.names.get(gid),
    ownerOf: (file) => {
      const uid = file.owner === undefined ? file.uid : users.ids.get(file.owner);
      const gid = file.group === undefined ? file.gid : groups.ids.get(file.group);
      return uid === undefined || gid === undefined ? undefined : { uid, gid };
    },
  };
}

/** The first line with a number, or a name, wins, as in getpwuid(3). */
function parse(text: string): { names: Map<number, string>; ids: Map<string, number> } {
  const [names, ids] = [new Map<number, string>(), new Map<string, number>()];
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (name === undefined || name === '' || number === undefined || !/^\d+$/.test(number)) continue;
    if (!names.has(Number(number))) names.set(Number(number), name);
    if (!ids.has(name)) ids.set(name, Number(number));
  }
  return { names, ids };
}
