import { printableLine } from '../../core/printable.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { Tally } from './tally.ts';

const BAR_CELLS = 12;

/** `media: 1200 files of 4800, 310 MiB, 41 MiB/s, 2m 10s left`. Pure. */
export function describeTally(tally: Tally): string {
  const { phase, lane, message, done } = tally;
  const name = `${lane ?? phase}:`;
  const said = message === undefined || message === '' ? [] : [message];
  const parts = done === undefined ? said : [[...said, counted(tally)].join(' '), ...paceOf(tally)];
  const text = printableLine([name, bar(tally), parts.join(', ')].filter((part) => part !== '').join(' '));
  return lane === undefined ? text : `  ${text}`;
}

function counted({ done = 0, total, unit }: Tally): string {
  const figure = (value: number) => (unit === 'bytes' ? formatBytes(value) : String(value));
  const word = unit === undefined || unit === 'bytes' ? '' : ` ${unit}`;
  return `${figure(done)}${total === undefined ? '' : ` of ${figure(total)}`}${word}`;
}

function paceOf({ unit, bytes, perSecond, bytesPerSecond, secondsLeft, done, total }: Tally): string[] {
  const rate = unit === 'bytes' ? perSecond : bytesPerSecond;
  const finished = total !== undefined && done !== undefined && done >= total;
  return [
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
    ...(rate === undefined ? [] : [`${formatBytes(Math.max(0, rate))}/s`]),
    ...(rate === undefined && perSecond !== undefined
      ? [`${perSecond.toFixed(perSecond < 10 ? 1 : 0)}/s`]
      : []),
    ...(secondsLeft === undefined || finished
      ? []
      : [`${formatDuration(Math.ceil(secondsLeft) * 1000)} left`]),
  ];
}

function bar({ done, total }: Tally): string {
  if (done === undefined || total === undefined || total <= 0) return '';
  const filled = Math.min(BAR_CELLS, Math.floor((done / total) * BAR_CELLS));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`;
}
