import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../core/units.ts';

/** `7` */
export function count(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** `4h` -> milliseconds. */
export function duration(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined)
    throw new InvalidArgumentError('It must be a duration such as 90s, 15m, 4h or 7d.');
  return milliseconds;
}

/** `10%` -> 0.1 */
export function share(text: string): number {
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1];
  const value = Number(percent ?? Number.NaN) / 100;
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('It must be a percentage such as 10%.');
  return value;
}

/** One of a list of words. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
    return word;
  };
}
