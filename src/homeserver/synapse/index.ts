import type { Homeserver } from '../port.ts';
import { synapseCatalogue } from './catalogue.ts';
import { EXCLUDED_TABLE_DATA } from './cleanse.ts';
import { discoverSynapse } from './discover.ts';
import { synapseFacts, synapseSchemaVersion } from './facts.ts';
import { ROW_RULES } from './row-rules.ts';
import { mediaUris } from './media-uris.ts';

/** Synapse on PostgreSQL. Measured against 1.163.2 (schema 94, compat 84). */
export const synapse: Homeserver = {
  kind: 'synapse',
  discover: discoverSynapse,
  excludedTableData: EXCLUDED_TABLE_DATA,
  facts: synapseFacts,
  schemaVersion: synapseSchemaVersion,
  rowRules: ROW_RULES,
  catalogue: synapseCatalogue,
  mediaUris,
};
