// A backup's database part over a way, to be killed: reads nothing of what pg_dump writes, so that it never ends.
import { Secret } from '../../src/core/secret.ts';
import { dumpDatabase, openSnapshot } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';

const password = new Secret(process.env['TEST_PASSWORD']!);
const target: PostgresTarget = { ...(JSON.parse(process.argv[2]!) as PostgresTarget), password };
const snapshot = await openSnapshot(target, 'killed');
const { stream } = await dumpDatabase(target, {
  snapshotId: snapshot.snapshotId,
  serverVersion: '15.0',
  part: { name: 'whole', section: undefined, only: undefined, without: [] },
  runId: 'killed',
});
stream.on('error', (error) => process.stdout.write(`${error.message}\n`));
stream.once('readable', () => process.stdout.write('pg_dump has begun\n'));
