import { EXIT } from '../../core/errors.ts';
import { defineCommand, type Command } from '../definition.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

const ARGUMENT = { name: 'SNAPSHOT', description: 'id, its first digits, `latest` or `latest-proven`' };

export const pinCommand = pinning('pin', true, {
  summary: 'keep a snapshot whatever the retention rules say',
  description:
    'Pins a snapshot: neither `prune` nor `forget` removes it until it is unpinned. Needs the admin key.',
  examples: [{ command: 'lifeboat pin latest', meaning: 'Before an upgrade of the homeserver.' }],
});

export const unpinCommand = pinning('unpin', false, {
  summary: 'let the retention rules decide about a snapshot again',
  description: 'Takes back a pin. Needs the admin key.',
  examples: [{ command: 'lifeboat unpin 4f2a', meaning: 'The upgrade went well.' }],
});

function pinning(
  name: string,
  pinned: boolean,
  texts: Pick<Command, 'summary' | 'description' | 'examples'>,
): Command {
  return defineCommand({
    name,
    ...texts,
    arguments: [ARGUMENT],
    options: [],
    exits: OPENING_WITH_KEY,
    run: async (input, { repository, output }) => {
      const opened = await repository();
      const { id } = await opened.resolve(input.arguments[0]!);
      await opened.pin(id, pinned);
      output.message('summary', { command: name, snapshot: id, pinned });
      output.print(`${shortId(id)} is ${pinned ? 'pinned' : 'not pinned any more'}`);
      return EXIT.ok;
    },
  });
}
