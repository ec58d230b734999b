import { randomInt } from 'node:crypto';
import type { ObjectStat } from '../storage/port.ts';
import { promisedSha256 } from './object-names.ts';
import type { PackSample } from './port.ts';

/** Digits of a pack's name that decide its part: 48 bits, which a number holds exactly. */
const DIGITS = 12;

/**
 * Which packs a check reads. Parts go by the name of the pack alone, so that n of n nights read everything once, whatever comes
 * and goes meanwhile; shares and sizes are drawn anew each time. At least one pack is drawn, so that a small repository is read
 * at all.
 */
export function choosePacks(
  packs: readonly ObjectStat[],
  sample: PackSample,
  random: (bound: number) => number = (bound) => randomInt(bound),
): readonly ObjectStat[] {
  if (sample === 'none') return [];
  if (sample === 'all') return packs;
  if ('part' in sample) return packs.filter(({ key }) => partOf(key, sample.of) === sample.part);
  const shuffled = shuffle(packs, random);
  if ('share' in sample) return shuffled.slice(0, Math.ceil(packs.length * sample.share));
  let before = 0;
  const enough = shuffled.findIndex(({ sizeBytes }) => (before += sizeBytes) >= sample.bytes);
  return enough === -1 ? shuffled : shuffled.slice(0, enough + 1);
}

/** 1..of */
function partOf(key: string, of: number): number {
  return (Number.parseInt(promisedSha256(key)?.slice(0, DIGITS) ?? '0', 16) % of) + 1;
}

/** Fisher and Yates. */
function shuffle<Item>(items: readonly Item[], random: (bound: number) => number): Item[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = random(last + 1);
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}
