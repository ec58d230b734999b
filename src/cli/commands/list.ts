import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { SnapshotEntry } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { formatTime, table } from '../terminal.ts';
import { OPENING } from './shared-exits.ts';

export const listCommand = defineCommand({
  name: 'list',
  summary: 'list the snapshots of a repository',
  description:
    'Lists the snapshots, oldest first, with what each added and whether a drill has proven it. Needs no key.',
  arguments: [],
  options: [],
  examples: [
    { command: 'lifeboat list', meaning: 'What is there, and is it proven?' },
    {
      command: "lifeboat list --json | jq -r 'select(.proven) | .id'",
      meaning: 'The ids of the proven ones.',
    },
    { command: 'lifeboat list --repository /srv/lifeboat', meaning: 'Without a configuration.' },
  ],
  exits: OPENING,
  run: async (_input, { repository, output }) => {
    const opened = await repository();
    const snapshots = await opened.snapshots();
    for (const snapshot of snapshots) output.message('snapshot', snapshotFields(snapshot));
    output.message('summary', {
      command: 'list',
      repository: opened.id,
      location: opened.location,
      snapshots: snapshots.length,
    });
    if (snapshots.length === 0)
      output.note(`no snapshots in ${opened.location}; make one with \`lifeboat backup\``);
    else output.print(table([HEADING, ...snapshots.map(row)]));
    return EXIT.ok;
  },
});

const HEADING = ['SNAPSHOT', 'TAKEN', 'SERVER', 'HOST', 'FILES', 'SIZE', 'NEW', 'DRILL', 'NOTES'];

function row(snapshot: SnapshotEntry): string[] {
  return [
    shortId(snapshot.id),
    formatTime(snapshot.time),
    snapshot.serverName,
    snapshot.hostname,
    String(snapshot.files),
    formatBytes(snapshot.bytes),
    formatBytes(snapshot.newBytes),
    snapshot.drill === undefined
      ? '-'
      : `${snapshot.drill.result} ${snapshot.drill.time.toISOString().slice(0, 10)}`,
    [...(snapshot.pinned ? ['pinned'] : []), ...snapshot.tags].join(', '),
  ];
}

/** Enough to name it on the command line. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** A snapshot for programs: bytes are numbers, times ISO 8601. */
export function snapshotFields(snapshot: SnapshotEntry): Record<string, unknown> {
  const { id, seq, time, hostname, serverName, files, bytes, newBytes, pinned, drill, tags } = snapshot;
  return {
    id,
    seq,
    time: time.toISOString(),
    hostname,
    server_name: serverName,
    files,
    bytes,
    new_bytes: newBytes,
    pinned,
    tags,
    proven: drill?.result === 'PASS',
    drill: drill === undefined ? null : { time: drill.time.toISOString(), result: drill.result },
  };
}
