/** Numbers of `15.18`; of `19beta1` the first only. */
function numbersOf(version: string): readonly [major: number, minor: number] {
  const [, major = '0', minor = '0'] = /^(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return [Number(major), Number(minor)];
}

/** Below 0 when `a` is older. 15.18 is newer than 15.9. */
export function compareVersions(a: string, b: string): number {
  const [[majorA, minorA], [majorB, minorB]] = [numbersOf(a), numbersOf(b)];
  return majorA - majorB || minorA - minorB;
}

/**
 * First minor of each major whose pg_dump, pg_restore and psql have no known hole that a hostile dump or server could use to
 * run code (postgresql.org/support/security). Majors before the first get no mends any more; later ones began without the holes.
 */
const MENDED: ReadonlyMap<number, number> = new Map([
  [14, 25],
  [15, 20],
  [16, 16],
  [17, 12],
  [18, 7],
]);

/** What an admin should install, `15.20`; `undefined` when the client has no known hole. */
export function saferClient(version: string): string | undefined {
  const [major, minor] = numbersOf(version);
  const oldest = Math.min(...MENDED.keys());
  const mended = MENDED.get(Math.max(major, oldest));
  if (mended === undefined || (major >= oldest && minor >= mended)) return undefined;
  return `${Math.max(major, oldest)}.${mended}`;
}

/** One line for an admin whose pg_dump is of an earlier minor than the server of the same major; otherwise none. Pure. */
export function olderMinorWarnings(client: string, server: string): string[] {
  const [[major], [serverMajor]] = [numbersOf(client), numbersOf(server)];
  if (major !== serverMajor || compareVersions(client, server) >= 0) return [];
  return [
    `pg_dump ${client} is older than the server, PostgreSQL ${server}; such a dump was seen not to restore: ` +
      `install postgresql-client-${major} of version ${server} or newer`,
  ];
}
