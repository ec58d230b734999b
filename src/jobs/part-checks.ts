import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { isLifeboatError } from '../core/errors.ts';
import { newestClient, pgListArgv } from '../database/index.ts';
import { runCommand } from '../exec/index.ts';
import { readConfiguration } from '../homeserver/index.ts';
import { collectFindings, noneFound, same } from '../restore/findings.ts';
import type { DumpFile, PlacedFile } from '../restore/source.ts';
import type { Check } from '../restore/step.ts';

export interface WrittenDump {
  readonly path: string;
  readonly content: DumpFile['content'] | undefined;
}

export interface DumpCheckOptions {
  readonly clientDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The files of a dump against the manifest and for pg_restore, which reads the table of contents of each. */
export async function* checkDumps(
  dumps: readonly WrittenDump[],
  options: DumpCheckOptions,
): AsyncGenerator<Check> {
  const changed = collectFindings();
  for (const { path, content } of dumps) {
    if (content === undefined) continue;
    const { sizeBytes, sha256 } = await digestOf(path, options.signal);
    if (sizeBytes !== content.sizeBytes || sha256 !== content.sha256) changed.add(path);
  }
  yield noneFound({ id: 'part.dump-as-in-manifest', title: 'the dump has its size and SHA-256' }, changed, {
    unit: 'dumps differ',
  });
  yield await readableByPostgres(dumps, options);
}

async function readableByPostgres(
  dumps: readonly WrittenDump[],
  { clientDirectory, signal }: DumpCheckOptions,
): Promise<Check> {
  const check = { id: 'part.dump-readable', title: 'pg_restore reads its table of contents' };
  const client = await newestClient('pg_restore', clientDirectory).catch((error: unknown) => {
    if (isLifeboatError(error, 'command-missing')) return undefined;
    throw error;
  });
  if (client === undefined) return { ...check, result: 'skip', observed: 'there is no pg_restore here' };
  const unreadable = collectFindings();
  for (const { path } of dumps) {
    const { exitCode, stderr } = await runCommand(pgListArgv(client.path, path), { signal });
    if (exitCode !== 0) unreadable.add(`${path}: ${stderr.trim()}`);
  }
  return noneFound(check, unreadable, { unit: 'dumps cannot be read' });
}

/** What can be said of a configuration without the homeserver's own code. */
export async function* checkConfiguration(
  serverName: string,
  placed: readonly PlacedFile[],
): AsyncGenerator<Check> {
  const files = placed.filter(({ role }) => role === 'homeserver-config').map(({ path }) => path);
  const { merged } = await readConfiguration(files);
  const named = merged['server_name'];
  const check = { id: 'part.config-server-name', title: 'the configuration is that of the server' };
  yield same(check, serverName, typeof named === 'string' ? named : 'none');
}

async function digestOf(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await pipeline(
    createReadStream(path),
    async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) {
        hash.update(chunk);
        sizeBytes += chunk.length;
      }
    },
    { signal },
  );
  return { sizeBytes, sha256: hash.digest('hex') };
}
