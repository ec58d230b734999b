import { COMMANDS } from '../../src/cli/commands/index.ts';
import { helpOf, parseCommandLine } from '../../src/cli/program.ts';

const OPTIONS = { version: '0', width: 100 } as const;

/** docs/reference/commands.md: the help of everything, as it is printed. */
export function renderManual(): string {
  const overview = parseCommandLine(['--help'], COMMANDS, OPTIONS);
  return `${[
    '# Commands',
    'What `lifeboat --help` and `lifeboat COMMAND --help` print. A test keeps this page and the program equal; write it anew with',
    '`vitest run test/cli/manual.test.ts --update`. Statuses and errors: [exit codes](exit-codes.md).',
    fence(overview.kind === 'text' ? overview.text : ''),
    ...COMMANDS.flatMap((command) => [
      `## lifeboat ${command.name}`,
      fence(helpOf(command, COMMANDS, OPTIONS)),
    ]),
  ].join('\n\n')}\n`;
}

function fence(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``;
}
