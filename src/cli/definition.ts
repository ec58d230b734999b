import type { EXIT } from '../core/errors.ts';
import type { HookedJob } from '../config/index.ts';
import type { CommandContext } from './context.ts';
import type { GlobalFlags } from './flags.ts';

export type ExitName = keyof typeof EXIT;

/** One command: what its help says, what it accepts, and what it calls. `program.ts` hands it to commander. */
export interface Command {
  /** `list`, or `config validate` for a command of a group. */
  readonly name: string;
  /** Of a group: what its name alone stands for. */
  readonly isDefault?: boolean;
  readonly summary: string;
  readonly description: string;
  readonly arguments: readonly ArgumentDefinition[];
  readonly options: readonly OptionDefinition[];
  readonly examples: readonly Example[];
  /** Statuses of its own, each with when; 0, 2 and 130 are every command's. */
  readonly exits: Partial<Record<ExitName, string>>;
  /** Where an option of the command's own has the name of a global one: what it means for that. */
  readonly globals?: (options: Input['options']) => GlobalFlags;
  /** A job has hooks and gives way to others as lifeboat.yaml says; an exclusive one runs once at a time on this machine. */
  readonly job?: { readonly name: HookedJob; readonly exclusive: boolean };
  /** Resolves to the exit status of a run without an error. */
  readonly run: (input: Input, context: CommandContext) => Promise<number>;
}

export interface ArgumentDefinition {
  /** `SNAPSHOT`, `[SNAPSHOT]` when it may be left out, or `AGE1...` for one or more. */
  readonly name: string;
  readonly description: string;
}

export interface OptionDefinition {
  /** As commander reads it: `-t, --tag <TAG>`. */
  readonly flags: string;
  readonly description: string;
  /** Throws commander's InvalidArgumentError (`option-values.ts`). */
  readonly parse?: (text: string) => unknown;
  readonly repeatable?: boolean;
}

export interface Example {
  readonly command: string;
  readonly meaning: string;
}

/** What was given on the command line, by the camel-case names of the long flags. */
export interface Input {
  readonly arguments: readonly (string | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** The same with the types that a command's own parsers guarantee. */
type TypedInput<Options> = Omit<Input, 'options'> & { readonly options: Options };

/** `Options` must say what `options` and their parsers produce: commander does not know. */
export function defineCommand<Options extends object>(
  command: Omit<Command, 'run'> & {
    readonly run: (input: TypedInput<Options>, context: CommandContext) => Promise<number>;
  },
): Command {
  return { ...command, run: (input, context) => command.run(input as TypedInput<Options>, context) };
}
