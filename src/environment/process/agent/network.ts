import { readFileSync } from 'node:fs';

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
