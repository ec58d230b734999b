import { EXIT } from '../../core/errors.ts';
import { defineCommand } from '../definition.ts';
import { table } from '../terminal.ts';

export const configValidateCommand = defineCommand({
  name: 'config validate',
  summary: 'check lifeboat.yaml',
  description:
    'Reads lifeboat.yaml as every command does, and tells everything that is wrong with it at once, with file, line and column. Connects nowhere.',
  arguments: [],
  options: [],
  examples: [
    { command: 'lifeboat config validate', meaning: 'After every change.' },
    { command: 'lifeboat config validate --config ./lifeboat.yaml', meaning: 'Before it goes to its place.' },
  ],
  exits: {},
  run: async (_input, { config, output }) => {
    const { file, homeserver, media, repository, retention } = await config();
    output.message('summary', { command: 'config validate', file, valid: true });
    output.print(
      table([
        ['valid', file],
        ['homeserver', `${homeserver.kind}: ${homeserver.config.join(', ')}`],
        ['media', media.classes.join(', ')],
        ['repository', repository.path],
        [
          'retention',
          Object.entries(retention)
            .map(([name, value]) => `${name} ${value}`)
            .join(', '),
        ],
      ]),
    );
    return EXIT.ok;
  },
});
