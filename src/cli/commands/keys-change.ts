import { EXIT } from '../../core/errors.ts';
import type { Repository } from '../../repository/port.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { recipientFields, recipientTable } from './keys-list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

const EXITS = {
  ...OPENING_WITH_KEY,
  usage: 'wrong usage or configuration, or a recipient that is none; nothing was done',
};
const RECIPIENTS = [{ name: 'AGE1...', description: 'age X25519 recipients (public keys)' }];

export const keysAddCommand = defineCommand({
  name: 'keys add',
  summary: 'let another identity open everything',
  description:
    'Makes further age identities recovery identities: each opens all snapshots, the old ones too, alone. Only the data key is ' +
    'sealed anew, no data. Needs a recovery identity (--identity) and the admin key. The copies learn it with the next `backup` or `copy`.',
  arguments: RECIPIENTS,
  options: [],
  examples: [
    {
      command: 'lifeboat keys add age1... --identity FILE',
      meaning: 'The public key of a colleague (`age-keygen -y` shows it), and the identity that opens today.',
    },
  ],
  exits: EXITS,
  run: async ({ arguments: recipients }, context) => {
    await change('keys add', context, (opened) => opened.addRecipients(recipients as string[]));
    return EXIT.ok;
  },
});

export const keysRemoveCommand = defineCommand({
  name: 'keys remove',
  summary: 'take an identity off the list',
  description:
    'Seals the data key to the remaining recovery recipients alone. It is no revocation: age has none, and whoever could open the ' +
    'repository may have kept the data key, which opens later snapshots too. Where that matters, make a new repository. Needs a ' +
    'recovery identity (--identity) and the admin key. The last recipient is refused.',
  arguments: RECIPIENTS,
  options: [],
  examples: [
    {
      command: 'lifeboat keys remove age1... --identity FILE && lifeboat prune',
      meaning: 'Somebody has left; prune also deletes the data key as it was sealed before.',
    },
  ],
  exits: EXITS,
  run: async ({ arguments: recipients }, context) => {
    const remove = async (opened: Repository) => {
      const left = await opened.removeRecipients(recipients as string[]);
      context.output.warn(NO_REVOCATION);
      return left;
    };
    await change('keys remove', context, remove);
    return EXIT.ok;
  },
});

const NO_REVOCATION =
  'age cannot revoke: who could open the repository until now may have kept the data key, and then reads later snapshots too; for a repository that is closed to them, run `lifeboat init` anew';

async function change(
  command: string,
  { configIfAny, repository, output }: CommandContext,
  apply: (opened: Repository) => ReturnType<Repository['addRecipients']>,
): Promise<void> {
  const opened = await repository();
  const recipients = await apply(opened);
  output.message('summary', { command, repository: opened.id, recovery: recipients.map(recipientFields) });
  output.print(`Each of these opens everything:\n${recipientTable(recipients)}`);
  if (((await configIfAny())?.repository.copies.length ?? 0) > 0)
    output.note('the copies learn it with the next `lifeboat backup` or `lifeboat copy`');
}
