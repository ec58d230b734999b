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

const CA =
  'Name the authority that issued the certificate of PostgreSQL as sslrootcert, in the homeserver configuration or in lifeboat.yaml under database.';
const NAME =
  'Set host to a name that the certificate of PostgreSQL bears, or have it issued for this name; sslmode: verify-ca looks at the authority only.';
const CLIENT =
  'Name a certificate for this user that the server trusts, and its key, as sslcert and sslkey, in the homeserver configuration or in lifeboat.yaml under database.';
const TIME = 'Renew the certificate, and compare the clocks of both machines.';

/** What OpenSSL says through Node and through libpq, and what the server says; the first that fits. */
const HINTS: readonly (readonly [says: RegExp, hint: string])[] = [
  [/certificate has expired|certificate is not yet valid|alert certificate expired/i, TIME],
  [/does not match certificate|does not match host name/i, NAME],
  [/valid client certificate|certificate authentication failed/i, CLIENT],
  [/alert (unknown ca|certificate required|bad certificate)|key values mismatch/i, CLIENT],
  [/self.signed certificate|unable to (verify the first|get (local )?issuer) certificate/i, CA],
  [/certificate verify failed|certificate signature failure|root certificate file/i, CA],
  [/does not support SSL/i, 'Switch ssl on in postgresql.conf, or set sslmode: disable.'],
  [
    /no pg_hba\.conf entry .*no encryption/,
    'Set sslmode: verify-full, and sslrootcert; the server takes no connection without TLS.',
  ],
];

/** What to do about an error of certificates or TLS; `undefined` for any other. Pure. */
export function tlsHint(message: string): string | undefined {
  return HINTS.find(([says]) => says.test(message))?.[1];
}

/** What a pg_hba.conf says that has only `hostssl`. */
export function insistsOnTls(error: unknown): boolean {
  return /no pg_hba\.conf entry .*no encryption/.test(messageOf(error));
}
