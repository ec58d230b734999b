import { join } from 'node:path';
import { filesIn, type Machine } from './machine.ts';

/** Where distributions, and matrix-docker-ansible-deploy, keep the configuration of the proxies that Synapse's documentation names. */
const DIRECTORIES = [
  '/etc/nginx',
  '/etc/nginx/conf.d',
  '/etc/nginx/sites-enabled',
  '/etc/nginx/snippets',
  '/etc/apache2/sites-enabled',
  '/etc/apache2/conf-enabled',
  '/etc/httpd/conf.d',
  '/etc/caddy',
  '/etc/caddy/conf.d',
  '/etc/caddy/sites',
  '/etc/traefik',
  '/etc/traefik/conf.d',
  '/etc/traefik/dynamic',
  '/etc/haproxy',
  '/etc/haproxy/conf.d',
  '/matrix/traefik/config',
  '/matrix/nginx-proxy/conf.d',
  '/matrix/synapse-reverse-proxy-companion/nginx/conf.d',
];
const NAMES = /^(?:Caddyfile|[\w.-]+\.(?:conf|cfg|caddy|ya?ml|toml|vhost)|[\w.-]+)$/;

export interface ProxyFiles {
  readonly files: readonly string[];
  /** Directories that they serve files from. */
  readonly roots: readonly string[];
}

/** Files that mention the server name, or one of its listeners as the place where requests go. */
export async function findReverseProxy(
  machine: Machine,
  serverName: string,
  ports: readonly number[],
): Promise<ProxyFiles> {
  const host = serverName.replace(/:\d+$/, '');
  const wanted = concernedWith(host, ports);
  const files: string[] = [];
  const roots = new Set<string>();
  for (const path of await filesIn(
    machine,
    DIRECTORIES,
    (name) => NAMES.test(name) && !name.endsWith('.bak'),
  )) {
    const text = withoutComments((await machine.read(path)) ?? '');
    if (!wanted(text)) continue;
    files.push(path);
    for (const [, root] of text.matchAll(/^\s*(?:root|alias|DocumentRoot|root \*)\s+"?(\/[^\s;"]+)/gim))
      roots.add(root!);
  }
  return { files, roots: [...roots] };
}

/** A name as a whole one: `example.org` is not mentioned by `notexample.org`, but by `matrix.example.org`. */
function concernedWith(host: string, ports: readonly number[]): (text: string) => boolean {
  const escaped = host.replaceAll('.', String.raw`\.`);
  const name = /^(?:localhost|[\d.]+|\[.*)$/.test(host)
    ? undefined
    : new RegExp(`(?:^|[^\\w-])${escaped}(?![\\w-]|\\.\\w)`, 'im');
  const listener = ports.map(
    (port) => new RegExp(`(?:localhost|127\\.0\\.0\\.1|\\[::1\\]|synapse[\\w-]*):${port}(?!\\d)`),
  );
  return (text) => name?.test(text) === true || listener.some((each) => each.test(text));
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*#.*$/gm, '');
}

const WELL_KNOWN = ['server', 'client', 'support'];

/** `.well-known/matrix/*` below the directories that the proxy serves, and the usual ones. */
export async function findWellKnown(
  machine: Machine,
  serverName: string,
  roots: readonly string[],
): Promise<string[]> {
  const host = serverName.replace(/:\d+$/, '');
  const bases = [
    ...roots,
    '/var/www/html',
    '/var/www',
    `/var/www/${host}`,
    `/var/www/${host}/html`,
    `/srv/www/${host}`,
    '/matrix/static-files/public',
  ];
  const found: string[] = [];
  for (const base of new Set(bases)) {
    for (const directory of ['.well-known/matrix', 'matrix', '']) {
      const place = join(base, directory);
      // A root that is the directory itself, as of `alias`.
      if (directory !== '.well-known/matrix' && !`${place}/`.endsWith('/.well-known/matrix/')) continue;
      for (const name of WELL_KNOWN) {
        const path = join(place, name);
        if ((await machine.kindOf(path)) === 'file' && !found.includes(path)) found.push(path);
      }
    }
  }
  return found;
}
