import fc from 'fast-check';
import { expect, it } from 'vitest';
import { planDump, qualified, type DumpPlan } from '../../src/database/index.ts';

const sizes = fc.uniqueArray(
  fc.record({
    schema: fc.constantFrom('public', 'Other', 'a.b'),
    name: fc.string({ minLength: 1, maxLength: 8 }),
    bytes: fc.oneof(fc.nat(1000), fc.nat(1e9)),
  }),
  { maxLength: 120, selector: qualified },
);

function dumpedBy(part: DumpPlan['parts'][number], table: { schema: string; name: string }): boolean {
  if (part.section !== undefined && part.section !== 'data') return false;
  const isIn = (names: DumpPlan['parts'][number]['without']) =>
    names.map(qualified).includes(qualified(table));
  return part.only === undefined ? !isIn(part.without) : isIn(part.only);
}

it('every table is in exactly one archive, also one that the plan has not heard of; excluded ones are in none', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 16 }), fc.nat(3), (tables, lanes, excludedCount) => {
      const excluded = tables.slice(0, excludedCount);
      const { parts } = planDump(tables, { lanes, excluded, smallBytes: 100 });
      const unheardOf = { schema: 'new', name: 'table', bytes: 0 };
      for (const table of [...tables, unheardOf])
        expect(parts.filter((part) => dumpedBy(part, table))).toHaveLength(
          excluded.some((each) => each === table) ? 0 : 1,
        );
    }),
  );
});

it('the schema is before and after the rows, or all is one archive; nothing is planned twice', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 16 }), (tables, lanes) => {
      const { parts } = planDump(tables, { lanes, excluded: [], smallBytes: 100 });
      const sections = parts.map(({ section }) => section);
      if (sections.length === 1) expect(sections).toEqual([undefined]);
      else {
        expect(sections.slice(0, 2)).toEqual(['pre-data', 'post-data']);
        expect(new Set(sections.slice(2))).toEqual(new Set(['data']));
        expect(parts.filter(({ section, only }) => section === 'data' && only === undefined)).toHaveLength(1);
      }
    }),
  );
});

it('no lane ends later than the mean of all plus the largest archive, whoever is free taking the next', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 2, max: 16 }), (tables, lanes) => {
      const plan = planDump(tables, { lanes, excluded: [], smallBytes: 100 });
      const ends = Array.from({ length: plan.lanes }, () => 0);
      for (const { bytes } of plan.parts) {
        const free = ends.indexOf(Math.min(...ends));
        ends[free] = ends[free]! + bytes;
      }
      const total = tables.reduce((sum, { bytes }) => sum + bytes, 0);
      const largest = Math.max(...plan.parts.map(({ bytes }) => bytes));
      expect(Math.max(...ends)).toBeLessThanOrEqual(total / plan.lanes + largest);
    }),
  );
});

it('tables stay out of the rest until it fits into half a lane, or 64 are alone, or the next is small', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 2, max: 16 }), (tables, lanes) => {
      const { parts } = planDump(tables, { lanes, excluded: [], smallBytes: 100 });
      if (parts.length === 1) return;
      const data = parts.filter(({ section }) => section === 'data');
      const total = data.reduce((sum, { bytes }) => sum + bytes, 0);
      const rest = data.find(({ only }) => only === undefined)!;
      const alone = new Set(rest.without.map(qualified));
      const largestOfRest = Math.max(
        0,
        ...tables.filter((t) => !alone.has(qualified(t))).map(({ bytes }) => bytes),
      );
      expect(rest.bytes <= total / (2 * lanes) || alone.size === 64 || largestOfRest <= 25).toBe(true);
    }),
  );
});
