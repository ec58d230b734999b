/** Record types of RFC 1035 and its followers. */
export const A = 1;
export const AAAA = 28;
export const SRV = 33;

/** A datagram as a resolver sends it (RFC 1035, section 4.1). */
export function query(name: string, type: number): Buffer {
  const head = Buffer.from([0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}
