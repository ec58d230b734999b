import { configJsonSchema } from '../../config/index.ts';
import { EXIT } from '../../core/errors.ts';
import { defineCommand } from '../definition.ts';

export const configSchemaCommand = defineCommand({
  name: 'config schema',
  summary: 'print the JSON Schema of lifeboat.yaml',
  description:
    'Prints what lifeboat.yaml may hold as a JSON Schema, for editors that complete and check while you type. Needs no configuration.',
  arguments: [],
  options: [],
  examples: [
    {
      command: 'lifeboat config schema > lifeboat.schema.json',
      meaning: 'Then begin lifeboat.yaml with `# yaml-language-server: $schema=lifeboat.schema.json`.',
    },
  ],
  exits: {},
  run: (_input, { output }) => {
    const schema = configJsonSchema();
    output.message('summary', { command: 'config schema', schema });
    output.print(JSON.stringify(schema, null, 2));
    return Promise.resolve(EXIT.ok);
  },
});
