import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeRanges } from '../src/load/ranges.ts';
import { idOf } from './harness.ts';

const MIB = 1 << 20;

/** Blobs of one pack, in no order, with holes of any size between them. */
const blobs = fc
  .array(
    fc.record({
      hole: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 * MIB }), fc.constantFrom(MIB, MIB + 1)),
      length: fc.oneof(fc.integer({ min: 33, max: 9 * MIB }), fc.constantFrom(16 * MIB, 20 * MIB)),
      order: fc.nat(),
    }),
    { maxLength: 40 },
  )
  .map((steps) => {
    let end = 0;
    const placed = steps.map(({ hole, length, order }, i) => {
      const offset = end + hole;
      end = offset + length;
      return {
        order,
        blob: { pack: idOf(0), type: 'data' as const, id: idOf(i), offset, length, uncompressedLength: 0 },
      };
    });
    return placed.toSorted((a, b) => a.order - b.order).map(({ blob }) => blob);
  });

describe('ranges of a pack', () => {
  it('cover every blob once, in order, with holes of at most 1 MiB and at most 16 MiB at a time', () => {
    fc.assert(
      fc.property(blobs, (wanted) => {
        const ranges = mergeRanges(wanted);
        const covered = ranges.flatMap((range) => range.blobs);
        expect(covered).toEqual(wanted.toSorted((a, b) => a.offset - b.offset));
        for (const { offset, length, blobs: parts } of ranges) {
          expect(parts[0]?.offset).toBe(offset);
          const last = parts.at(-1);
          expect((last?.offset ?? 0) + (last?.length ?? 0)).toBe(offset + length);
          if (parts.length > 1) expect(length).toBeLessThanOrEqual(16 * MIB);
          let end = offset;
          for (const part of parts) {
            expect(part.offset - end).toBeLessThanOrEqual(MIB);
            end = part.offset + part.length;
          }
        }
        // Neighbors that could be one range are one.
        for (const [i, range] of ranges.entries()) {
          const next = ranges[i + 1];
          if (next === undefined) break;
          const first = next.blobs[0];
          const hole = next.offset - (range.offset + range.length);
          const joined = next.offset + (first?.length ?? 0) - range.offset;
          expect(hole > MIB || joined > 16 * MIB).toBe(true);
        }
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('reads overlapping entries of a strange index whole', () => {
    const at = (offset: number, length: number) => ({
      pack: idOf(0),
      type: 'data' as const,
      id: idOf(offset),
      offset,
      length,
      uncompressedLength: 0,
    });
    expect(mergeRanges([at(0, 1000), at(10, 50)])).toMatchObject([{ offset: 0, length: 1000 }]);
  });
});
