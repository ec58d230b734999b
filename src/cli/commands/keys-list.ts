import type { Config } from '../../config/index.ts';
import { EXIT } from '../../core/errors.ts';
import type { KeyListing, RecoveryRecipient } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { table } from '../terminal.ts';
import { OPENING } from './shared-exits.ts';

export const keysListCommand = defineCommand({
  name: 'keys list',
  isDefault: true,
  summary: 'show who can open and sign what',
  description:
    'Shows whose identities open the repository, what the host and the admin key may, and where this host looks for its key files. ' +
    'Public keys only; needs no key. `lifeboat keys` alone is the same.',
  arguments: [],
  options: [],
  examples: [
    { command: 'lifeboat keys', meaning: 'Whose identity opens this repository?' },
    {
      command: "lifeboat keys list --json | jq -r '.recovery[].recipient'",
      meaning: 'The recovery recipients, for another repository.',
    },
  ],
  exits: OPENING,
  run: async (_input, { configIfAny, repository, output }) => {
    const opened = await repository();
    const keys = await opened.keys();
    const files = (await configIfAny())?.repository;
    output.message('summary', {
      command: 'keys list',
      repository: opened.id,
      recovery: keys.recipients.map(recipientFields),
      data_recipient: keys.dataRecipient,
      data_key: keys.dataKeyObject,
      host: { index_recipient: keys.indexRecipient, public_key: keys.hostPublicKey },
      admin: { public_key: keys.adminPublicKey },
      files: files === undefined ? null : fileFields(files),
      can_read: opened.canRead,
    });
    output.print(table([HEADING, ...rows(keys)]));
    if (files !== undefined) output.print(`\n${table(fileRows(files))}`);
    return EXIT.ok;
  },
});

const HEADING = ['KEY', 'MAY', 'SINCE', 'PUBLIC KEY'];

function rows({ recipients, indexRecipient, hostPublicKey, adminPublicKey }: KeyListing): string[][] {
  return [
    ...recipients.map((one) => ['recovery', 'open everything', sinceOf(one), one.recipient]),
    ['host', 'open the index, nothing else', 'init', indexRecipient],
    ['host', 'sign snapshots, verifies, drills', 'init', hostPublicKey],
    ['admin', 'sign forgets, pins, prunes, changes of recipients', 'init', adminPublicKey],
  ];
}

/** `init`, or `record 12` of the log. */
function sinceOf({ since }: RecoveryRecipient): string {
  return since === 1 ? 'init' : `record ${since}`;
}

/** For programs. */
export function recipientFields({ recipient, since }: RecoveryRecipient): Record<string, unknown> {
  return { recipient, since_record: since };
}

/** For people. */
export function recipientTable(recipients: readonly RecoveryRecipient[]): string {
  return table(recipients.map((one) => [one.recipient, sinceOf(one)]));
}

type KeyFiles = Config['repository'];

function fileFields({ hostKeyFile, adminKeyFile, identityFile }: KeyFiles): Record<string, string | null> {
  return { host_key: hostKeyFile, admin_key: adminKeyFile ?? null, identity: identityFile ?? null };
}

function fileRows({ hostKeyFile, adminKeyFile, identityFile }: KeyFiles): string[][] {
  return [
    ['KEY', 'FILE ON THIS HOST'],
    ['recovery identity', identityFile ?? 'none is configured, as it should be where only backups are made'],
    ['host key', hostKeyFile],
    ['admin key', adminKeyFile ?? 'none is configured: hardened mode'],
  ];
}
