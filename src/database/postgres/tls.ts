import { readFile } from 'node:fs/promises';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { PostgresTarget } from '../port.ts';

export interface TlsOptions {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly checkServerIdentity?: () => undefined;
}

/** What libpq does with the same settings (its manual, "SSL Support"). Errors: `file-unreadable`. */
export async function tlsOptions(target: PostgresTarget): Promise<false | TlsOptions> {
  const { host, sslMode, sslRootCert, sslCert, sslKey } = target;
  if (sslMode === undefined || sslMode === 'disable' || host.startsWith('/')) return false;
  const own = {
    ...(sslCert === undefined ? {} : { cert: await readPem(sslCert, 'sslcert') }),
    ...(sslKey === undefined ? {} : { key: await readPem(sslKey, 'sslkey') }),
  };
  // `require` with an authority means verify-ca.
  if (sslMode === 'require' && sslRootCert === undefined) return { rejectUnauthorized: false, ...own };
  return {
    rejectUnauthorized: true,
    ...own,
    ...(sslRootCert === undefined ? {} : { ca: await readPem(sslRootCert, 'sslrootcert') }),
    // The chain, but not the name.
    ...(sslMode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

async function readPem(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new LifeboatError('file-unreadable', `cannot read ${path} (${setting}): ${messageOf(error)}`, {
      hint: `Make it readable for the user that runs lifeboat, or name another as database.${setting} in lifeboat.yaml.`,
      context: { file: path },
      cause: error,
    });
  }
}

/** What a pg_hba.conf says that has only `hostssl`. */
export function insistsOnTls(error: unknown): boolean {
  return /no pg_hba\.conf entry .*no encryption/.test(messageOf(error));
}
