import { InvalidArgumentError } from 'commander';
import { parseBytes, parseDuration } from '../core/units.ts';
import type { PackSample } from '../repository/port.ts';

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

/** As restic has it: `2/7`, the second of seven parts; `10%`; `500MiB`. */
export function packSample(text: string): PackSample {
  const [, part, of] = /^(\d{1,9})\/(\d{1,9})$/.exec(text)?.map(Number) ?? [];
  if (part !== undefined && of !== undefined) {
    if (part >= 1 && part <= of) return { part, of };
    throw new InvalidArgumentError('It must be n/t with n from 1 to t, such as 2/7.');
  }
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined) {
    const share = Number(percent) / 100;
    if (share > 0 && share <= 1) return { share };
    throw new InvalidArgumentError('It must be a percentage above 0% and up to 100%.');
  }
  const bytes = parseBytes(text);
  if (bytes !== undefined) return { bytes };
  throw new InvalidArgumentError(
    'It must be a part such as 2/7, a percentage such as 10%, or a size such as 500MiB.',
  );
}

/** One of a list of words. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
    return word;
  };
}
