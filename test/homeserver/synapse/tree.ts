import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory with these files, gone when the test ends. */
export async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'lifeboat-synapse-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text, { mode: 0o600 });
  }
  return root;
}

/** What `generate_signing_key` printed once; the public half was asked of Synapse itself. */
export const SIGNING_KEY = 'ed25519 a_Kcaf ka2HRTcFSPOFpxFCHBALKTy6eLLAo2IsPHkeNxGRNuA\n';

export const DATABASE =
  'database: {name: psycopg2, args: {user: synapse, password: database-pass, dbname: syn, host: db.example, port: 5433}}\n';
