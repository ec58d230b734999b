import { EXIT, LifeboatError } from '../../core/errors.ts';
import type { SnapshotEntry } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

/** The last one of which it is known that a homeserver lives from it. */
function refuseOnlyProven(snapshots: readonly SnapshotEntry[], id: string): void {
  const proven = snapshots.filter(({ drill }) => drill?.result === 'PASS');
  if (proven.length !== 1 || proven[0]!.id !== id) return;
  throw new LifeboatError('not-confirmed', `${shortId(id)} is the only snapshot that a drill has proven`, {
    hint: 'Drill another one first, or add --yes.',
    context: { snapshot: id },
  });
}

export const forgetCommand = defineCommand<{ yes?: true }>({
  name: 'forget',
  summary: 'remove one snapshot from the list',
  description:
    'Removes a snapshot from the list; its data goes with the next `prune`. Pinned snapshots are refused. Needs the admin key. ' +
    'For rules such as "seven daily ones" use `prune`.',
  arguments: [{ name: 'SNAPSHOT', description: 'id, or its first digits' }],
  options: [{ flags: '--yes', description: 'forget even the only snapshot that a drill has proven' }],
  examples: [
    { command: 'lifeboat forget 4f2a && lifeboat prune', meaning: 'A snapshot that must go at once.' },
  ],
  exits: { ...OPENING_WITH_KEY, preflightRefused: 'it is the only proven one, and --yes was not given' },
  run: async (input, { repository, output }) => {
    const opened = await repository();
    const { id } = await opened.resolve(input.arguments[0]!);
    await opened.forget([id], { [id]: 'asked for' }, (snapshots) => {
      if (input.options.yes !== true) refuseOnlyProven(snapshots, id);
    });
    output.message('summary', { command: 'forget', snapshot: id });
    output.print(`${shortId(id)} is forgotten; \`lifeboat prune\` frees its space`);
    return EXIT.ok;
  },
});
