import { isIP } from 'node:net';

export interface ServerName {
  /** Without brackets when it is an IPv6 address. */
  readonly host: string;
  readonly port: number | undefined;
  readonly isAddress: boolean;
}

/** Specification, appendices, "Server Name"; undefined when it is none. */
export function parseServerName(name: string): ServerName | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z.-]{1,255}))(?::(\d{1,5}))?$/.exec(name);
  if (match === null) return undefined;
  const [, inBrackets, plain, digits] = match;
  const host = inBrackets ?? plain!;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  if (inBrackets !== undefined && isIP(host) !== 6) return undefined;
  return { host, port, isAddress: isIP(host) !== 0 };
}
