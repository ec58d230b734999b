import { EXIT, LifeboatError } from '../../core/errors.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';

interface DemoFlags {
  readonly program?: string;
  readonly reportDir?: string;
  readonly keep?: true;
}

export const demoCommand = defineCommand<DemoFlags>({
  name: 'demo',
  summary: 'lose a real homeserver, and get it back',
  description:
    'Starts PostgreSQL and two real Synapses on loopback, fills them, backs one up twice, destroys it, drills the snapshot in a sealed ' +
    'environment, restores it, and lets the surviving server talk to it again. Touches nothing but a temporary directory. In a clone ' +
    '`npm run demo` installs what it needs first.',
  arguments: [],
  options: [
    {
      flags: '--program <PYTHON>',
      description: 'interpreter of a Synapse; by default the one that `npm run demo` installs',
    },
    {
      flags: '--report-dir <DIR>',
      description: 'where the reports of the drill go (default: lifeboat-reports)',
    },
    { flags: '--keep', description: 'leave the directories of the servers, to look at them' },
  ],
  examples: [{ command: 'lifeboat demo', meaning: 'Three minutes to see what this is about.' }],
  exits: {
    failed: EXIT_MEANING.failed,
    drillFailed: EXIT_MEANING.drillFailed,
    drillImpossible: EXIT_MEANING.drillImpossible,
  },
  run: async ({ options }, context) => {
    const { output, clock, signal, runCommandLine } = context;
    // Not before it is asked for: what it needs takes longer to load than all other commands together.
    const { runDemo } = await import('../../demo/demo.ts');
    const { synapsePython } = await import('../../demo/lab/index.ts');
    await runDemo({
      python: options.program ?? synapsePython(),
      reportDirectory: options.reportDir ?? 'lifeboat-reports',
      keep: options.keep === true,
      write: (text) => output.print(text.replace(/\n$/, '')),
      clock,
      signal,
      lifeboat: async (argv, env = {}) => {
        const quiet = argv.includes('--json');
        if (!quiet) output.print(`      $ lifeboat ${argv.join(' ')}`);
        const { exitStatus, stdout, stderr } = await runCommandLine(argv, env);
        const indented = stdout.replace(/^(?=.)/gm, '        ').trimEnd();
        if (!quiet && indented !== '') output.print(indented);
        if (exitStatus === EXIT.ok) return stdout;
        const code =
          exitStatus === EXIT.drillFailed
            ? 'drill-failed'
            : signal.aborted
              ? 'interrupted'
              : 'command-failed';
        throw new LifeboatError(
          code,
          `lifeboat ${argv[0]} ended with status ${exitStatus}: ${stderr.trim().split('\n').slice(-3).join(' / ')}`,
        );
      },
    });
    output.message('summary', { command: 'demo', ok: true });
    return EXIT.ok;
  },
});
