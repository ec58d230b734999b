import type { Edge } from './imports.ts';

/** From the ground up: a folder may use those before it. A file directly in src (index.ts) stands above all. */
const ORDER = [
  'core',
  'config',
  'exec',
  'observe',
  'storage',
  'repository',
  'database',
  'media',
  'homeserver',
  'environment',
  'restore',
  'verify',
  'jobs',
  'demo',
  'cli',
];

/** The one folder that may import a package; others use what that folder offers. */
const OWNERS: Readonly<Record<string, string>> = {
  '@peculiar/x509': 'environment',
  '@aws-sdk/client-s3': 'storage',
  'age-encryption': 'repository',
  tar: 'repository',
  archiver: 'verify',
  commander: 'cli',
  execa: 'exec',
  'node:child_process': 'exec',
  pg: 'database',
  'pg-cursor': 'database',
  pino: 'observe',
  qr: 'jobs',
  'reflect-metadata': 'environment',
  yaml: 'config',
  zod: 'config',
};

/** Imports that break a rule for a reason. An entry that nothing needs any more is itself an error. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'environment/process/agent/processes.ts -> node:child_process':
    'the agent is a program of its own inside the sandbox, with nothing but node: at hand',
};

/** Ports are agreed on before rooms are built, and name each other's types; at run time nothing of it is left. */
const PORTS = new Set(['port.ts', 'manifest.ts', 'model.ts', 'step.ts']);

/** One sentence for each import that is not allowed. */
export function brokenRules(edges: readonly Edge[]): string[] {
  const used = new Set<string>();
  const broken = edges.flatMap((edge) => {
    const problem = problemOf(edge);
    if (problem === undefined) return [];
    const name = `${edge.from} -> ${edge.to}`;
    if (name in EXCEPTIONS) {
      used.add(name);
      return [];
    }
    return [`${name}: ${problem}`];
  });
  const unused = Object.keys(EXCEPTIONS).filter((name) => !used.has(name));
  return [...broken, ...unused.map((name) => `${name}: the exception is not needed any more`)];
}

function problemOf({ from, to, kind, typeOnly }: Edge): string | undefined {
  const folder = folderOf(from);
  if (kind === 'package') {
    const owner = OWNERS[to];
    if (owner === undefined) return to.startsWith('node:') ? undefined : 'a package without an owner';
    return owner === folder ? undefined : `belongs to src/${owner}`;
  }
  if (to.startsWith('..')) return 'leads out of src';
  if (!to.endsWith('.ts')) return 'does not name a file';
  if (typeOnly && PORTS.has(to.split('/').at(-1)!)) return undefined;
  return rank(folderOf(to)) > rank(folder) ? 'imports upwards' : undefined;
}

function folderOf(path: string): string {
  return path.includes('/') ? path.split('/')[0]! : '';
}

function rank(folder: string): number {
  if (folder === '') return ORDER.length;
  const found = ORDER.indexOf(folder);
  if (found === -1) throw new Error(`src/${folder} has no place in the order of test/architecture/rules.ts`);
  return found;
}
