import { EXIT } from '../../core/errors.ts';
import { defineCommand } from '../definition.ts';
import { table } from '../terminal.ts';
import { OPENING } from './shared-exits.ts';

export const keysCommand = defineCommand({
  name: 'keys',
  summary: 'show who can open and sign what',
  description:
    'Shows the recipients that a repository is encrypted to, and the public keys that sign its log. Public values only.',
  arguments: [],
  options: [],
  examples: [{ command: 'lifeboat keys', meaning: 'Whose identity opens this repository?' }],
  exits: OPENING,
  run: async (_input, { repository, output }) => {
    const opened = await repository();
    const { recipients, indexRecipient, hostPublicKey, adminPublicKey } = await opened.keys();
    output.message('summary', {
      command: 'keys',
      repository: opened.id,
      recipients,
      index_recipient: indexRecipient,
      host_public_key: hostPublicKey,
      admin_public_key: adminPublicKey,
      can_read: opened.canRead,
    });
    output.print(
      table([
        ['KEY', 'MAY', 'PUBLIC VALUE'],
        ...recipients.map(({ recipient }) => ['recovery', 'open everything', recipient]),
        ['host', 'open the index', indexRecipient],
        ['host', 'add snapshots', hostPublicKey],
        ['admin', 'forget, pin, prune', adminPublicKey],
      ]),
    );
    return EXIT.ok;
  },
});
