import pg from 'pg';
import Cursor from 'pg-cursor';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import { describeWay } from '../ways/commands.ts';
import { RelayedConnection } from '../ways/relay.ts';
import { insistsOnTls, tlsHint, tlsOptions } from './tls.ts';
import type { PostgresSession, PostgresTarget } from '../port.ts';

export interface ConnectOptions {
  /** Shown in pg_stat_activity; ours begin with `lifeboat:`. */
  readonly applicationName: string;
  /** `restored`: an address that somebody gave for a restore, not the homeserver's own; hints then speak of that. */
  readonly database?: 'homeserver' | 'restored';
}

const CONNECT_TIMEOUT_MS = 15_000;
const CURSOR_ROWS = 5000;
const INT8_OID = 20;
/** Those that this server knows: transaction_timeout came with 17, idle_session_timeout with 14. */
const NO_TIMEOUTS = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN
  ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`;

/**
 * One connection, whose queries run one after the other. Our own time-outs are switched off for this session only: a
 * role's statement_timeout would end a backup in the middle. Errors: `database-unreachable`, `database-denied`.
 */
export async function connect(target: PostgresTarget, options: ConnectOptions): Promise<PostgresSession> {
  try {
    return await connectOnce(target, options);
  } catch (error) {
    // Without a mode TLS is used only where the server insists on it: libpq's `allow`.
    if (target.sslMode !== undefined || !insistsOnTls(error)) throw error;
    return await connectOnce({ ...target, sslMode: 'require' }, options);
  }
}

async function connectOnce(target: PostgresTarget, options: ConnectOptions): Promise<PostgresSession> {
  const { way } = target;
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    password: target.password?.reveal() ?? '',
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...(way === undefined
      ? { ssl: await tlsOptions(target) }
      : { stream: () => new RelayedConnection(way, target) }),
    types: { getTypeParser },
  });
  // Without a listener an idle connection that the server ends would end this process.
  let lost: Error | undefined;
  // The first one says why; then only that the connection is gone.
  client.on('error', (error) => (lost ??= error));
  try {
    await client.connect();
    await client.query(NO_TIMEOUTS);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw connectError(target, error, options.database);
  }
  const close = () => client.end();
  return {
    query: async <Row extends Record<string, unknown>>(sql: string, values: readonly unknown[] = []) => {
      if (lost !== undefined) throw connectError(target, lost, options.database);
      // Without values the simple protocol is used, which takes several statements.
      const result =
        values.length === 0 ? await client.query<Row>(sql) : await client.query<Row>(sql, [...values]);
      return result.rows;
    },
    stream: <Row extends Record<string, unknown>>(sql: string, values: readonly unknown[] = []) =>
      rowsOf<Row>(client, sql, values),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function* rowsOf<Row extends Record<string, unknown>>(
  client: pg.Client,
  sql: string,
  values: readonly unknown[],
): AsyncGenerator<Row> {
  const cursor = client.query(new Cursor<Row>(sql, [...values], { types: { getTypeParser } }));
  try {
    for (let rows = await cursor.read(CURSOR_ROWS); rows.length > 0; rows = await cursor.read(CURSOR_ROWS))
      yield* rows;
  } finally {
    await cursor.close();
  }
}

/** bigint comes as text because JavaScript's numbers end at 2^53; counts and time stamps never get there. */
function getTypeParser(oid: number, format?: string): (value: string) => unknown {
  if (oid === INT8_OID) {
    return (value) => {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    };
  }
  return pg.types.getTypeParser(oid, format as 'text') as (value: string) => unknown;
}

/** SQLSTATE of refusals: Postgres manual, appendix A. */
const DENIED = new Set(['28000', '28P01', '42501']);
const NO_DATABASE = '3D000';

const HINTS = {
  homeserver: {
    denied:
      'Check user and password in the homeserver configuration, or set them in lifeboat.yaml under database.',
    missing: 'Check the name of the database in the homeserver configuration or in lifeboat.yaml.',
    password: 'Give it in the homeserver configuration, or in lifeboat.yaml as database.password.',
  },
  restored: {
    denied: 'Check the user in --database, and its password in PGPASSWORD or --database-password-file.',
    missing:
      'Make it, empty: createdb --encoding=UTF8 --locale=C --template=template0 --owner=USER NAME (docs/disaster.md).',
    password: 'Give it in PGPASSWORD, or in a file with --database-password-file.',
  },
} as const;

function connectError(
  target: PostgresTarget,
  error: unknown,
  kind: NonNullable<ConnectOptions['database']> = 'homeserver',
): LifeboatError {
  // The way says by itself what is wrong with it.
  if (error instanceof LifeboatError) return error;
  const place =
    target.way === undefined ? `on ${target.host}:${target.port}` : `through ${describeWay(target.way)}`;
  const where = `database ${target.database} ${place} as user ${target.user}`;
  const code = (error as { code?: string }).code ?? '';
  const context = { host: target.host, port: target.port, database: target.database, user: target.user };
  if (target.password === undefined && /client password must be|no password supplied/.test(messageOf(error)))
    return new LifeboatError('database-denied', `a password is needed for ${where}`, {
      hint: HINTS[kind].password,
      context,
      cause: error,
    });
  if (DENIED.has(code)) {
    return new LifeboatError('database-denied', `the server refused ${where}: ${messageOf(error)}`, {
      hint: tlsHint(messageOf(error)) ?? HINTS[kind].denied,
      context,
      cause: error,
    });
  }
  if (code === NO_DATABASE) {
    return new LifeboatError('database-unreachable', `there is no ${where}`, {
      hint: HINTS[kind].missing,
      context,
      cause: error,
    });
  }
  return new LifeboatError(
    'database-unreachable',
    `cannot connect to ${where}: ${messageOf(error) || code}`,
    {
      hint: tlsHint(messageOf(error)) ?? 'Check that PostgreSQL runs and that host and port are right.',
      context,
      cause: error,
    },
  );
}
