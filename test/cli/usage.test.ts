import { describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { helpOf, parseCommandLine } from '../../src/cli/program.ts';
import { lifeboat } from './run.ts';

const OPTIONS = { version: '0', width: 100 } as const;
const MORE = 'hint: Run `lifeboat --help`, or `lifeboat COMMAND --help`.\n';

describe('a wrong command line', () => {
  it.each([
    [['lst'], "unknown command 'lst'\nhint: Did you mean list?\n"],
    [['list', '--jsn'], "unknown option '--jsn'\nhint: Did you mean --json?\n"],
    [['--jsn', 'list'], "unknown option '--jsn'\nhint: Did you mean --json?\n"],
    [['config', 'validat'], "unknown command 'validat'\nhint: Did you mean validate?\n"],
    [['show'], "missing required argument 'SNAPSHOT'\n"],
    [['list', 'a'], "too many arguments for 'list': expected 0 arguments but got 1: a\n"],
    [['drill', '--media'], "option '--media <DIR>' needs a value\n"],
    [
      ['prune', '--keep-daily', 'x'],
      "option '--keep-daily <N>' argument 'x' is invalid: it must be a whole number\n",
    ],
    [
      ['check', '--read-data-subset', '0%'],
      "option '--read-data-subset <SUBSET>' argument '0%' is invalid: it must be a percentage above 0% and up to 100%\n",
    ],
    ...['0/7', '8/7', '1/0'].map((subset): [string[], string] => [
      ['check', '--read-data-subset', subset],
      `option '--read-data-subset <SUBSET>' argument '${subset}' is invalid: it must be n/t with n from 1 to t, such as 2/7\n`,
    ]),
    ...['some', '1/2/3', '0', 'x%'].map((subset): [string[], string] => [
      ['check', '--read-data-subset', subset],
      `option '--read-data-subset <SUBSET>' argument '${subset}' is invalid: it must be a part such as 2/7, a percentage such as 10%, or a size such as 500MiB\n`,
    ]),
    [
      ['drill', '--rto-target', '4'],
      "option '--rto-target <DURATION>' argument '4' is invalid: it must be a duration such as 90s, 15m, 4h or 7d\n",
    ],
    [
      ['restore', 'latest', '--only', 'all'],
      "option '--only <PART>' argument 'all' is invalid: it must be one of keys, config, media, database\n",
    ],
  ])('%j is one line, hints, and exit 2', async (argv, message) => {
    const { status, stdout, stderr } = await lifeboat(argv);
    expect(stderr).toBe(`lifeboat: error: ${message}${MORE}`);
    expect({ status, stdout }).toEqual({ status: EXIT.usage, stdout: '' });
  });

  it('is told as JSON too, to who asked for JSON', async () => {
    const { messages } = await lifeboat(['list', '--json', '--fast']);
    expect(messages).toMatchObject([
      { message_type: 'error', code: 'usage', exit_status: 2, message: "unknown option '--fast'" },
    ]);
  });

  it.each([
    [['drill', '--dump', 'a.dump'], '--dump needs --media, --signing-key and --config as well'],
    [['drill', '--media', 'm'], '--media and --signing-key need --dump'],
    [
      ['drill', 'latest', '--dump', 'a', '--media', 'b', '--signing-key', 'c', '--config', 'd'],
      'give either a snapshot or --dump',
    ],
    [
      ['check', '--read-data', '--read-data-subset', '1/2'],
      '--read-data and --read-data-subset are given, which say different things',
    ],
    [['restore', 'latest'], 'restore needs --target DIR'],
    [['init', '--homeserver-config', 'a'], 'init needs --repository PLACE'],
  ])('%j says what does not fit', async (argv, message) => {
    const { status, stderr } = await lifeboat(argv);
    expect(stderr).toContain(`lifeboat: error: ${message}\n`);
    expect(status).toBe(EXIT.usage);
  });
});

describe('help', () => {
  it('is printed for lifeboat alone and for a group alone', async () => {
    for (const argv of [[], ['--help'], ['help'], ['config']]) {
      const { status, stdout, stderr } = await lifeboat(argv);
      expect(stdout).toContain('Usage: lifeboat');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    }
    const { stdout } = await lifeboat([]);
    for (const { name, summary } of COMMANDS)
      if (!name.includes(' '))
        expect(stdout).toMatch(new RegExp(`^  ${name} .*${summary.slice(0, 20)}`, 'm'));
  });

  it('tells the version', async () => {
    expect((await lifeboat(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s has examples that it takes, and its exit statuses',
    (_name, command) => {
      const help = helpOf(command, COMMANDS, OPTIONS);
      const [, examples, statuses] = /\nEXAMPLES\n([^]+)\n\nEXIT STATUS\n([^]+)$/.exec(help) ?? [];
      const known = new Set<number>(Object.values(EXIT));
      const listed = [...statuses!.matchAll(/^ {2}(\d+) +\S/gm)].map(([, status]) => Number(status));
      expect(listed).toEqual(listed.toSorted((a, b) => a - b));
      expect(listed).toEqual(expect.arrayContaining([EXIT.ok, EXIT.usage, EXIT.interrupted]));
      expect(listed.every((status) => known.has(status))).toBe(true);

      const own = [...examples!.matchAll(/^ {2}lifeboat (.+?)(?: [|>]|&&|$)/gm)].map(([, line]) =>
        line!.trim().split(/\s+/),
      );
      expect(own.length).toBeGreaterThan(0);
      for (const argv of own)
        expect(parseCommandLine(argv, COMMANDS, OPTIONS)).toMatchObject({
          kind: 'run',
          command: { name: command.name },
        });
    },
  );
});

describe('global options', () => {
  const flagsOf = (...argv: string[]) => {
    const invocation = parseCommandLine(argv, COMMANDS, OPTIONS);
    return invocation.kind === 'run' ? invocation.flags : undefined;
  };

  it('are taken before and after the command', () => {
    expect(flagsOf('--json', '-r', '/a', 'list')).toMatchObject({ json: true, repository: '/a' });
    expect(flagsOf('list', '--json', '-r', '/a')).toMatchObject({ json: true, repository: '/a' });
    expect(flagsOf('-r', '/a', 'list', '--no-color', '-r', '/b')).toMatchObject({
      repository: '/b',
      color: false,
    });
    expect(flagsOf('--no-color', 'list')).toMatchObject({ color: false });
  });

  it('leave --config to a drill of files, where it is the homeserver’s', () => {
    const files = [
      '--dump',
      'a',
      '--media',
      'b',
      '--signing-key',
      'c',
      '--config',
      'homeserver.yaml',
      '--config',
      'more.yaml',
    ];
    const invocation = parseCommandLine(['--config', 'lifeboat.yaml', 'drill', ...files], COMMANDS, OPTIONS);
    expect(invocation).toMatchObject({
      flags: { config: 'lifeboat.yaml' },
      input: { options: { config: ['homeserver.yaml', 'more.yaml'] } },
    });
    expect(flagsOf('drill', '--config', 'lifeboat.yaml')).toMatchObject({ config: 'lifeboat.yaml' });
  });
});
