import type { BrokenSnapshot, CheckFinding, DamagedObject } from './port.ts';

/** Without one of these, a snapshot lacks content. An index can be lost, and keys are everybody's: neither is a reason to forget one. */
const CONTENT = /^(?:packs|manifests|archives)\//;

/** The snapshots that cannot be restored whole, with what they lack, by the findings of a check. Pure. */
export function brokenSnapshots(findings: readonly CheckFinding[]): readonly BrokenSnapshot[] {
  const lacking = new Map<string, DamagedObject[]>();
  for (const { severity, object, problem, snapshots } of findings) {
    if (severity !== 'error' || !CONTENT.test(object)) continue;
    for (const id of snapshots) {
      const objects = lacking.get(id) ?? [];
      lacking.set(id, objects);
      objects.push({ key: object, problem });
    }
  }
  return [...lacking].map(([id, objects]) => ({ id, objects }));
}

/** For the record that forgets it: `packs/ab/ab12.age: it is missing, and 3 more objects`. */
export function reasonToForget({ objects }: BrokenSnapshot): string {
  const [first, ...more] = objects;
  const others =
    more.length === 0 ? '' : `, and ${more.length} more ${more.length === 1 ? 'object' : 'objects'}`;
  return `cannot be restored whole: ${first?.key}: ${first?.problem}${others}`;
}
