import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SeenNames } from '../../src/wrap/seen-names.ts';

const idOf = (number: number): string => createHash('sha256').update(String(number)).digest('hex');

it('tells what comes again when a listing is repeated, ids and other names', () => {
  // Equal in their first or second words, and next to each other in the table.
  const head = fc.constantFrom('0'.repeat(23).concat('1'), 'f'.repeat(24), '0'.repeat(16).concat('7'.repeat(8)));
  const id = head.map((words) => words + '5'.repeat(40));
  const name = fc.oneof(id, fc.constantFrom('', 'config', '0'.repeat(64)), fc.nat(50).map(idOf));
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 60 }), fc.array(name, { maxLength: 60 }), (listed, again) => {
      const seen = new SeenNames();
      const expected = new Set(listed);
      expect(listed.filter((each) => !seen.add(each))).toEqual([]);
      seen.repeated();
      for (const each of again) {
        expect(seen.add(each), each).toBe(!expected.has(each));
        expected.add(each);
        // A second failure changes nothing.
        seen.repeated();
      }
    }),
    { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
  );
});

it('knows a hundred thousand ids again', () => {
  const seen = new SeenNames();
  const ids = Array.from({ length: 100_000 }, (_, number) => idOf(number));
  const [before, after] = [ids.slice(0, 30_000), ids.slice(30_000)];
  expect(before.filter((id) => !seen.add(id))).toEqual([]);
  seen.repeated();
  expect(ids.filter((id) => seen.add(id))).toEqual(after);
  expect(ids.filter((id) => seen.add(id))).toEqual([]);
});
