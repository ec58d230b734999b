import { Command as Commander, CommanderError, Option } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { Command, Input, OptionDefinition } from './definition.ts';
import { EXIT_MEANING } from './exit.ts';
import { GLOBAL_OPTIONS, longFlag, type GlobalFlags } from './flags.ts';

/** What a command line asks for: a text (help, version), or a command to be run. */
export type Invocation =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'run'; readonly command: Command; readonly input: Input; readonly flags: GlobalFlags };

export interface ProgramOptions {
  readonly version: string;
  /** Columns of help texts. */
  readonly width: number;
}

/** Pure: reads a command line, runs nothing. Errors: commander's, which `exit.ts` words. */
export function parseCommandLine(
  argv: readonly string[],
  commands: readonly Command[],
  options: ProgramOptions,
): Invocation {
  const written: string[] = [];
  let invocation: Invocation | undefined;
  const program = buildProgram(commands, options, written, (run) => {
    invocation = run;
  });
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError) || !HELP_CODES.has(error.code)) throw error;
    return { kind: 'text', text: written.join('') };
  }
  return invocation ?? { kind: 'text', text: written.join('') };
}

/** `commander.help` is what it throws when a group is named without a command. */
const HELP_CODES = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/** For the manual: the help of one command. */
export function helpOf(command: Command, commands: readonly Command[], options: ProgramOptions): string {
  const invocation = parseCommandLine([...command.name.split(' '), '--help'], commands, options);
  return invocation.kind === 'text' ? invocation.text : '';
}

type OnRun = (invocation: Invocation & { kind: 'run' }) => void;

function buildProgram(
  commands: readonly Command[],
  options: ProgramOptions,
  written: string[],
  onRun: OnRun,
): Commander {
  const program = new Commander('lifeboat')
    .description(
      'Backs up Matrix homeservers, and proves each snapshot by a drill: restored, started and federating where it can harm nobody.',
    )
    .version(options.version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [COMMAND]', 'show the help of a command')
    .configureOutput({
      writeOut: (text) => written.push(text),
      // Help of a group that was named alone arrives here; errors are thrown, and printed in our own grammar.
      writeErr: (text) => written.push(text),
      outputError: () => undefined,
      getOutHelpWidth: () => options.width,
      getErrHelpWidth: () => options.width,
    })
    .exitOverride()
    .enablePositionalOptions();
  addOptions(program, GLOBAL_OPTIONS);
  const groups = new Map<string, Commander>();
  for (const command of commands) {
    const [first, second] = command.name.split(' ') as [string, string?];
    if (second === undefined) addCommand(program, first, command, onRun);
    else {
      const group = groups.get(first) ?? program.command(first);
      groups.set(first, group);
      group.summary([group.summary(), command.summary].filter((text) => text !== '').join('; '));
      group.description(group.summary());
      addCommand(group, second, command, onRun);
    }
  }
  return program;
}

function addCommand(parent: Commander, name: string, definition: Command, onRun: OnRun): void {
  const { isDefault = false } = definition;
  const command = parent
    .command(name, { isDefault })
    .summary(definition.summary)
    .description(definition.description);
  for (const argument of definition.arguments) {
    command.argument(
      argument.name.startsWith('[') ? argument.name : `<${argument.name}>`,
      argument.description,
    );
  }
  addOptions(command, definition.options);
  const own = new Set(definition.options.map(longFlag));
  const globals = GLOBAL_OPTIONS.filter((option) => !own.has(longFlag(option)));
  addOptions(command, globals, 'Global options:');
  command.addHelpText('after', () => `\n${helpSections(definition)}`);
  command.action(() => {
    const options: Record<string, unknown> = command.opts();
    const flags = {
      ...root(command).opts<GlobalFlags>(),
      ...globalsOf(command, globals),
      ...definition.globals?.(options),
    };
    onRun({
      kind: 'run',
      command: definition,
      input: { arguments: command.processedArgs.flat() as (string | undefined)[], options },
      flags,
    });
  });
}

function addOptions(command: Commander, options: readonly OptionDefinition[], group?: string): void {
  for (const { flags, description, parse, repeatable } of options) {
    const option = new Option(flags, description);
    if (group !== undefined) option.helpGroup(group);
    if (repeatable === true)
      option.argParser((text: string, before: unknown[] | undefined) => [
        ...(before ?? []),
        parse?.(text) ?? text,
      ]);
    else if (parse !== undefined) option.argParser(parse);
    command.addOption(option);
  }
}

/** Only what was given after the command's name: a default must not undo what stood before it. */
function globalsOf(command: Commander, globals: readonly OptionDefinition[]): GlobalFlags {
  const given = globals
    .map((option) => new Option(option.flags).attributeName())
    .filter((name) => command.getOptionValueSource(name) === 'cli')
    .map((name) => [name, command.getOptionValue(name) as unknown]);
  return Object.fromEntries(given) as GlobalFlags;
}

function root(command: Commander): Commander {
  return command.parent === null ? command : root(command.parent);
}

function helpSections({ examples, exits }: Command): string {
  const shown = examples.map(({ command, meaning }) => `  # ${meaning}\n  ${command}`).join('\n\n');
  const always = { ok: EXIT_MEANING.ok, usage: EXIT_MEANING.usage, interrupted: EXIT_MEANING.interrupted };
  const statuses = Object.entries({ ...always, ...exits })
    .map(([name, when]) => [EXIT[name as keyof typeof EXIT], when] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([status, when]) => `  ${String(status).padEnd(4)}${when}`);
  return `EXAMPLES\n${shown}\n\nEXIT STATUS\n${statuses.join('\n')}`;
}
