import type { LaneCost, LaneCosts, LaneResult } from './lane-rows.ts';
import { median } from './measure.ts';
import { megabytes, table } from './terminal.ts';

/** Every way with its figures, and lifeboat's as a share of them: below 1 lifeboat is faster. */
export function laneReport({ databaseBytes, backups, restores }: LaneResult): string {
  return [
    `The database has ${megabytes(databaseBytes)} with its indexes.`,
    part('backup', backups),
    part('restore, ANALYZE included', restores),
  ].join('\n\n');
}

function part(title: string, costs: LaneCosts): string {
  const of = (list: readonly LaneCost[], figure: (cost: LaneCost) => number) => median(list.map(figure));
  const ours = costs.get('lifeboat')!;
  const wall = ({ wallSeconds }: LaneCost) => wallSeconds;
  const client = ({ cpuSeconds }: LaneCost) => cpuSeconds;
  const server = ({ serverCpuSeconds }: LaneCost) => serverCpuSeconds;
  const all = (cost: LaneCost) => client(cost) + server(cost);
  return table([
    [title, 'wall s', 'CPU s', 'server CPU s', 'peak MiB', 'stored', 'lifeboat/it, wall', 'CPU of both'],
    ...[...costs].map(([name, list]) => [
      name,
      of(list, wall).toFixed(1),
      of(list, client).toFixed(1),
      of(list, server).toFixed(1),
      of(list, ({ rssMiB }) => rssMiB).toFixed(0),
      of(list, ({ bytes }) => bytes) === 0 ? '-' : megabytes(of(list, ({ bytes }) => bytes)),
      (of(ours, wall) / of(list, wall)).toFixed(2),
      (of(ours, all) / of(list, all)).toFixed(2),
    ]),
  ]);
}
