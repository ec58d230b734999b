import { rm } from 'node:fs/promises';
import type { LabPostgres, LabSynapse } from '../lab/index.ts';

/** What a burnt disk leaves of a homeserver: nothing. Its directory with configuration, keys and media, and its database, are gone. */
export async function destroyHomeserver(synapse: LabSynapse, postgres: LabPostgres): Promise<void> {
  await synapse.stop();
  await postgres.dropDatabase(synapse.database.database);
  await rm(synapse.directory, { recursive: true, force: true });
}
