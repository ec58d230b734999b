import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** Packets sent by any interface but loopback, since the namespace was made (/proc/net/dev, 10th column). */
export function outsidePackets(): number {
  const interfaces = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
  let sent = 0;
  for (const line of interfaces) {
    const [name, ...columns] = line.trim().split(/[:\s]+/);
    if (name !== undefined && name !== '' && name !== 'lo') sent += Number(columns[9] ?? 0);
  }
  return sent;
}

/**
 * How often something wanted to send to an address that no route leads to, which is every address but loopback's
 * (OutNoRoutes of /proc/net/snmp and snmp6; RFC 4293, ipSystemStatsOutNoRoutes).
 */
export function attemptsWithoutRoute(): number {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Ip: '))
    .map((line) => line.split(' '));
  const v4 = Number(values?.[names?.indexOf('OutNoRoutes') ?? -1] ?? 0);
  const v6 = /^Ip6OutNoRoutes\s+(\d+)$/m.exec(readIfThere('/proc/net/snmp6'))?.[1];
  return v4 + Number(v6 ?? 0);
}

/** A kernel without IPv6 has no counters of it. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A route or an interface that leads away from loopback; errors when there is none. */
export function wayOut(): string {
  const others = Object.entries(networkInterfaces()).filter(([, addresses]) =>
    addresses?.some(({ internal }) => !internal),
  );
  const [, ...routes] = readFileSync('/proc/net/route', 'utf8').trim().split('\n');
  const found = [
    ...others.map(([name]) => `interface ${name}`),
    ...routes.map((line) => `route by ${line.split('\t')[0]}`),
  ];
  if (found.length > 0) return found.join(', ');
  throw new Error('no route, and no interface but lo');
}
