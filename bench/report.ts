import type { DatabaseCosts, DatabaseResult } from './database-rows.ts';
import type { MediaCosts, MediaRow } from './media-rows.ts';
import { median, medianCost, type Cost } from './measure.ts';
import type { MemoryCosts } from './memory-rows.ts';
import { megabytes, table } from './terminal.ts';
import type { Tool } from './tool.ts';

const TITLES: Readonly<Record<MediaRow, string>> = {
  first: 'first backup of media',
  nothing: 'nothing new, by the catalogue',
  'nothing-walk': 'nothing new, without hashes in the database',
  new: '0.1 % new',
  check: 'check of all data',
  restore: 'restore of all',
};

/** What the project wants of itself: lifeboat / fastest comparable peer, at most. */
const MEDIA_TARGETS: Readonly<Record<MediaRow, number>> = {
  first: 0.6,
  nothing: 0.1,
  'nothing-walk': 0.3,
  new: 0.2,
  check: 0.7,
  restore: 0.7,
};

type Figure = 'wallSeconds' | 'cpuSeconds';

/** One line a row and figure: ratio to the fastest comparable peer, target, and what everybody took. */
export function mediaReport(
  rows: readonly MediaRow[],
  tools: readonly Tool[],
  costs: ReadonlyMap<string, MediaCosts>,
): string {
  const medians = (tool: Tool, row: MediaRow): Cost | undefined => {
    // Peers know nothing of a catalogue: both ways of ours stand beside their one.
    const theirs = row === 'nothing-walk' && tool.name !== 'lifeboat' ? 'nothing' : row;
    const found = costs.get(tool.name)?.get(theirs);
    return found === undefined ? undefined : medianCost(found);
  };
  const lines = rows.flatMap((row) =>
    (['wallSeconds', 'cpuSeconds'] as const).map((figure: Figure) => {
      const ours = medians(tools[0]!, row)?.[figure];
      const peers = tools
        .filter(({ comparable }) => comparable)
        .flatMap((tool) => medians(tool, row)?.[figure] ?? []);
      return [
        `${TITLES[row]}, ${figure === 'wallSeconds' ? 'wall' : 'CPU'} s`,
        ...verdict(ours, peers.length === 0 ? undefined : Math.min(...peers), MEDIA_TARGETS[row]),
        ...tools.map((tool) => medians(tool, row)?.[figure].toFixed(2) ?? '-'),
      ];
    }),
  );
  const peak = tools.map((tool) => {
    const all = [...(costs.get(tool.name)?.values() ?? [])].flat().map(({ rssMiB }) => rssMiB);
    return all.length === 0 ? '-' : Math.max(...all).toFixed(0);
  });
  return table([
    ['media', 'ratio', 'target', '', ...tools.map(({ name }) => name)],
    ...lines,
    ['peak memory of all rows, MiB', '', '', '', ...peak],
  ]);
}

export function databaseReport({ dumpBytes, dumpOnly, tools }: DatabaseResult): string {
  const byName = (name: string): DatabaseCosts | undefined => tools.find((tool) => tool.name === name);
  const [ours, guide, restic] = [tools[0]!, byName('pg_dump|gzip')!, byName('restic')];
  const wall = (costs: readonly Cost[]): number => median(costs.map(({ wallSeconds }) => wallSeconds));
  const cpu = (costs: readonly Cost[]): number => median(costs.map(({ cpuSeconds }) => cpuSeconds));
  const line = (
    title: string,
    against: string,
    of: (tool: DatabaseCosts) => number,
    other: DatabaseCosts | undefined,
    target: number,
    show: (value: number) => string,
  ): string[] => [
    `${title}, to ${against}`,
    ...verdict(of(ours), other === undefined ? undefined : of(other), target),
    ...tools.map((tool) => show(of(tool))),
  ];
  const seconds = (value: number): string => value.toFixed(1);
  return [
    `A dump has ${megabytes(dumpBytes)}; pg_dump alone takes ${seconds(wall(dumpOnly))} s. CPU of the database server is in no figure.`,
    table([
      ['database', 'ratio', 'target', '', ...tools.map(({ name }) => name)],
      line('stored after 7 nights', 'restic', ({ storedBytes }) => storedBytes, restic, 0.5, megabytes),
      line('stored after 7 nights', 'gzip files', ({ storedBytes }) => storedBytes, guide, 0.2, megabytes),
      line("a night's increment", 'restic', ({ incrementBytes }) => incrementBytes, restic, 0.2, megabytes),
      line('first backup, wall s', 'gzip', ({ first }) => wall(first), guide, 0.35, seconds),
      line('nightly backup, wall s', 'gzip', ({ nightly }) => wall(nightly), guide, 0.35, seconds),
      ['first backup, CPU s', '', '', '', ...tools.map(({ first }) => seconds(cpu(first)))],
      ['nightly backup, CPU s', '', '', '', ...tools.map(({ nightly }) => seconds(cpu(nightly)))],
      [
        'peak memory, MiB',
        '',
        '',
        '',
        ...tools.map(({ first, nightly }) =>
          Math.max(...[...first, ...nightly].map(({ rssMiB }) => rssMiB)).toFixed(0),
        ),
      ],
    ]),
  ].join('\n');
}

const MEMORY_TARGET_MIB = 400;

export function memoryReport(files: number, costs: ReadonlyMap<string, MemoryCosts>): string {
  const steps = ['first', 'nothing', 'nothing-walk', 'check', 'restore'];
  const names = [...costs.keys()];
  const ours = costs.get('lifeboat');
  return table([
    [`peak memory at ${files} files, MiB`, 'target', '', ...names],
    ...steps.map((step) => {
      const mib = ours?.get(step)?.rssMiB;
      const mark = mib === undefined ? '' : mib <= MEMORY_TARGET_MIB ? 'met' : 'missed';
      return [
        step,
        `${MEMORY_TARGET_MIB}`,
        mark,
        ...names.map((name) => costs.get(name)?.get(step)?.rssMiB.toFixed(0) ?? '-'),
      ];
    }),
    ...steps.map((step) => [
      `${step}, wall s`,
      '',
      '',
      ...names.map((name) => costs.get(name)?.get(step)?.wallSeconds.toFixed(1) ?? '-'),
    ]),
  ]);
}

function verdict(
  ours: number | undefined,
  other: number | undefined,
  target: number,
): [string, string, string] {
  if (ours === undefined || other === undefined) return ['-', `${target}`, ''];
  const ratio = ours / other;
  return [ratio.toFixed(2), `${target}`, ratio <= target ? 'met' : 'missed'];
}
