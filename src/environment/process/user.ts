import { randomInt } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { LifeboatError } from '../../core/errors.ts';

/** Who things inside run as. Not root in any case: PostgreSQL refuses it, and a restored server has no business being root. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  /** True when we are root and must change to it. */
  readonly borrowed: boolean;
}

/** The range that systemd uses for DynamicUser= (systemd.exec(5)): nobody's, outside of any passwd file. */
const DYNAMIC = { from: 61_184, to: 65_519 };
const TRIES = 50;

/** As root an id that nothing on this machine uses; otherwise ourselves. */
export async function chooseUser(): Promise<SandboxUser> {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  if (uid !== 0) return { uid, gid, name: 'drill', borrowed: false };
  const taken = await idsInUse();
  for (let tries = 0; tries < TRIES; tries += 1) {
    const candidate = randomInt(DYNAMIC.from, DYNAMIC.to + 1);
    if (!taken.has(candidate)) return { uid: candidate, gid: candidate, name: 'drill', borrowed: true };
  }
  throw new LifeboatError(
    'drill-impossible',
    `no unused user id between ${DYNAMIC.from} and ${DYNAMIC.to} was found`,
  );
}

async function idsInUse(): Promise<Set<number>> {
  const passwd = await readFile('/etc/passwd', 'utf8');
  const taken = new Set(passwd.split('\n').map((line) => Number(line.split(':')[2])));
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const found = await stat(`/proc/${entry}`).catch(() => undefined);
    if (found !== undefined) taken.add(found.uid);
  }
  return taken;
}
