import { EXIT } from '../../core/errors.ts';
import { defineCommand } from '../definition.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const forgetCommand = defineCommand({
  name: 'forget',
  summary: 'remove one snapshot from the list',
  description:
    'Removes a snapshot from the list; its data goes with the next `prune`. Pinned snapshots are refused. Needs the admin key. ' +
    'For rules such as "seven daily ones" use `prune`.',
  arguments: [{ name: 'SNAPSHOT', description: 'id, or its first digits' }],
  options: [],
  examples: [
    { command: 'lifeboat forget 4f2a && lifeboat prune', meaning: 'A snapshot that must go at once.' },
  ],
  exits: OPENING_WITH_KEY,
  run: async (input, { repository, output }) => {
    const opened = await repository();
    const { id } = await opened.resolve(input.arguments[0]!);
    await opened.forget([id], { [id]: 'asked for' });
    output.message('summary', { command: 'forget', snapshot: id });
    output.print(`${shortId(id)} is forgotten; \`lifeboat prune\` frees its space`);
    return EXIT.ok;
  },
});
