import { LifeboatError } from '../core/errors.ts';
import { connect } from '../database/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Homeserver } from '../homeserver/port.ts';
import type { DatabaseComponent } from '../repository/manifest.ts';

interface Sources {
  readonly kind: Pick<Homeserver, 'schemaVersion'>;
  readonly database: PostgresTarget;
}

/** A homeserver that was upgraded in the middle of the run migrates its schema: dump and facts would not belong together. */
export async function requireSameSchema(sources: Sources, database: DatabaseComponent): Promise<void> {
  await using session = await connect(sources.database, { applicationName: 'lifeboat:schema' });
  const before = database.invariants.facts['schema_version'];
  const after = await sources.kind.schemaVersion(session);
  if (before === after) return;
  throw new LifeboatError(
    'database-dump-failed',
    `the schema version changed from ${before} to ${after} during the backup`,
    {
      hint: 'Let the upgrade of the homeserver finish, then run the backup again.',
    },
  );
}
