import { EXIT } from '../../core/errors.ts';
import { printableLine } from '../../core/printable.ts';
import { examine } from '../../jobs/doctor.ts';
import type { Check } from '../../restore/step.ts';
import { renderCheck } from '../../verify/report/terminal.ts';
import { defineCommand } from '../definition.ts';

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'check that everything is there for backup, drill and restore',
  description:
    'Looks at the homeserver, its database and media, the repository and its keys, the PostgreSQL programs, and makes a sealed environment ' +
    'for a moment. Changes nothing. Without lifeboat.yaml it checks what a drill of files needs.',
  arguments: [],
  options: [],
  examples: [{ command: 'lifeboat doctor', meaning: 'After `init`, and when something does not work.' }],
  exits: { failed: 'something is missing; what to do stands below it' },
  run: async (_input, { configIfAny, output, clock, signal }) => {
    const config = await configIfAny();
    if (config === undefined) output.note('no lifeboat.yaml: checking only what a drill of files needs');
    const checks: Check[] = [];
    for await (const check of examine(config, clock)) {
      signal.throwIfAborted();
      checks.push(check);
      output.message('check', { ...check });
      output.printStyled([...renderCheck(check, { color: output.color }), ...seen(check)].join('\n'));
    }
    const failed = checks.filter(({ result }) => result === 'fail').length;
    output.message('summary', { command: 'doctor', ok: failed === 0, checks: checks.length, failed });
    return failed === 0 ? EXIT.ok : EXIT.failed;
  },
});

/** What was found is of interest here also when it is right. */
function seen({ result, observed }: Check): string[] {
  return observed === undefined || result === 'fail' || result === 'warn'
    ? []
    : [`       ${printableLine(observed)}`];
}
