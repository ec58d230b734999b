import { lookup as dnsLookup, resolveSrv } from 'node:dns/promises';
import { request } from 'node:https';
import { BlockList, isIP } from 'node:net';
import { LifeboatError } from '../../core/errors.ts';
import { asObject, asText } from '../events/json.ts';
import type { Resolvers } from './discovery.ts';
import { parseServerName } from './server-name.ts';

/**
 * Server discovery on the real internet. What is asked for comes from other people's servers (.well-known, redirects, SRV),
 * so it must not lead into our own network: a name is resolved once, its address is checked, and that very address is
 * connected to.
 */
export interface LiveOptions {
  /** For homeservers inside one's own network. */
  readonly allowPrivate: boolean;
  readonly timeoutMs: number;
  /** Default: the system's. All addresses of a name. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
  /** Default: the system's authorities. */
  readonly caPem?: string;
}

/** Specification, server-server API, "Resolving server names": redirects should be followed, loops avoided. */
const MAX_REDIRECTS = 5;
const MAX_WELL_KNOWN_BYTES = 50 * 1024;

export function liveResolvers(options: LiveOptions): Resolvers {
  return {
    async wellKnown(host) {
      try {
        return await fetchWellKnown(
          new URL(`https://${host}/.well-known/matrix/server`),
          options,
          MAX_REDIRECTS,
        );
      } catch {
        return undefined;
      }
    },
    async srv(name) {
      return await resolveSrv(name).catch(() => []);
    },
  };
}

/** One address of a host, to connect to. Errors: `usage` when there is none that may be connected to. */
export async function pinAddress(
  host: string,
  { allowPrivate, lookup = systemLookup }: Pick<LiveOptions, 'allowPrivate' | 'lookup'>,
): Promise<string> {
  const addresses = isIP(host) === 0 ? await lookup(host) : [host];
  const usable = addresses.filter((address) => allowPrivate || isPublicAddress(address));
  if (usable[0] !== undefined) return usable[0];
  throw new LifeboatError(
    'usage',
    addresses.length === 0
      ? `${host} has no address`
      : `${host} resolves to ${addresses.join(', ')}, which is not a public address`,
    {
      hint: 'Allow private addresses if the homeserver is in your own network.',
    },
  );
}

/** IANA special-purpose registries (RFC 6890 and its updates): what is not reachable from everywhere. */
const SPECIAL_PURPOSE = specialPurposeAddresses();

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !SPECIAL_PURPOSE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function specialPurposeAddresses(): BlockList {
  const list = new BlockList();
  const ipv4 =
    '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3';
  const ipv6 =
    '::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8';
  for (const [family, ranges] of [
    ['ipv4', ipv4],
    ['ipv6', ipv6],
  ] as const) {
    for (const range of ranges.split(' ')) {
      const [network, prefix] = range.split('/') as [string, string];
      list.addSubnet(network, Number(prefix), family);
    }
  }
  return list;
}

async function systemLookup(host: string): Promise<readonly string[]> {
  const found = await dnsLookup(host, { all: true, verbatim: true }).catch(() => []);
  return found.map(({ address }) => address);
}

async function fetchWellKnown(
  url: URL,
  options: LiveOptions,
  redirectsLeft: number,
): Promise<string | undefined> {
  const answer = await get(url, options);
  if (answer.location !== undefined) {
    const next = new URL(answer.location, url);
    return redirectsLeft === 0 || next.protocol !== 'https:'
      ? undefined
      : await fetchWellKnown(next, options, redirectsLeft - 1);
  }
  const delegate = asText(asObject(JSON.parse(answer.body))?.['m.server']);
  return delegate !== undefined && parseServerName(delegate) !== undefined ? delegate : undefined;
}

async function get(url: URL, options: LiveOptions): Promise<{ body: string; location?: string }> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const address = await pinAddress(host, options);
  return await new Promise((resolve, reject) => {
    const outgoing = request(url, {
      agent: false,
      signal: AbortSignal.timeout(options.timeoutMs),
      headers: { accept: 'application/json' },
      lookup: (_host, { all }, done) =>
        all === true ? done(null, [{ address, family: isIP(address) }]) : done(null, address, isIP(address)),
      ...(options.caPem === undefined ? {} : { ca: options.caPem }),
    });
    outgoing.on('error', reject).on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 300 && status < 400 && response.headers.location !== undefined) {
        response.destroy();
        resolve({ body: '', location: response.headers.location });
        return;
      }
      let body = '';
      response.setEncoding('utf8').on('error', reject);
      response.on('data', (text: string) => {
        body += text;
        if (body.length > MAX_WELL_KNOWN_BYTES)
          response.destroy(new RangeError('the .well-known document is too long'));
      });
      response.on('end', () =>
        status === 200 ? resolve({ body }) : reject(new Error(`${url.href}: ${status}`)),
      );
    });
    outgoing.end();
  });
}
