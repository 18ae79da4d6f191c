import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packFileSize } from '@restic-engine/repo-format';
import type { BlobType } from '@restic-engine/repo-format';
import { BlobTable } from '../src/index/blob-table.ts';
import { blobsToCopy, usageOf } from '../src/upkeep/prune-packs.ts';
import type { Usage } from '../src/upkeep/prune-packs.ts';
import { checkLimits, Planner } from '../src/upkeep/prune-plan.ts';
import type { PruneLimits } from '../src/upkeep/prune-plan.ts';
import { idOf } from './harness.ts';

const LIMIT = { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false } as const;
const MiB = 2 ** 20;

interface Blob {
  readonly name: number;
  readonly type: BlobType;
  readonly length: number;
  readonly uncompressed?: boolean;
}

/** A table of packs, numbered from 1000 on, and the marks of the blobs in use. */
function tableOf(
  packs: readonly (readonly Blob[])[],
  used: ReadonlySet<number>,
): { table: BlobTable; reached: Uint8Array } {
  const table = new BlobTable();
  for (const [index, blobs] of packs.entries()) {
    const pack = table.addPack(idOf(1000 + index));
    let offset = 0;
    for (const { name, type, length, uncompressed = false } of blobs) {
      table.add(type, idOf(name), pack, offset, length, uncompressed ? 0 : length);
      offset += length;
    }
  }
  const reached = new Uint8Array(table.size);
  for (const { name, type } of packs.flat()) if (used.has(name)) reached[table.numberOf(type, idOf(name))] = 1;
  return { table, reached };
}

function sizesOf(table: BlobTable): Map<string, number> {
  return new Map([...table.byPack()].map(({ pack, blobs }) => [pack, packFileSize(blobs)]));
}

function usedIn(packs: readonly (readonly Blob[])[], used: readonly number[]): number[] {
  const { table, reached } = tableOf(packs, new Set(used));
  return usageOf(table, reached).packs.map(({ usedBlobs }) => usedBlobs);
}

function plan(packs: readonly (readonly Blob[])[], used: readonly number[], limits: PruneLimits, version: 1 | 2 = 2) {
  const { table, reached } = tableOf(packs, new Set(used));
  const decided = new Planner(usageOf(table, reached), limits, version).decide(sizesOf(table));
  const name = (ids: ReadonlySet<string>): number[] =>
    [...ids].map((id) => packs.findIndex((_, index) => idOf(1000 + index) === id)).toSorted((a, b) => a - b);
  const { remove, repack } = decided.plan;
  return { remove: name(remove), repack: name(repack), stats: decided.stats };
}

const data = (name: number, length: number): Blob => ({ name, type: 'data', length });

describe('which copy of a blob counts', () => {
  it('the one in a pack that is needed anyway', () => {
    expect(
      usedIn(
        [
          [data(1, 100), data(2, 100)],
          [data(1, 100), data(3, 100)],
        ],
        [1, 3],
      ),
    ).toEqual([0, 2]);
    expect(
      usedIn(
        [
          [data(1, 100), data(3, 100)],
          [data(1, 100), data(2, 100)],
        ],
        [1, 3],
      ),
    ).toEqual([2, 0]);
  });

  it('the one in a pack of copies only, as an interrupted prune leaves it', () => {
    expect(usedIn([[data(1, 100), data(2, 100)], [data(1, 100)]], [1])).toEqual([0, 1]);
  });

  it('the ones that a prune made of small packs, of mixed ones, and of what was not compressed', () => {
    const small = [[data(1, 100)], [data(2, 100), data(3, 50)]];
    const joined = [data(1, 100), data(2, 100)];
    expect(usedIn([...small, joined], [1, 2, 3])).toEqual([0, 1, 2]);
    expect(usedIn([joined, ...small], [1, 2, 3])).toEqual([2, 0, 1]);
    const tree = { name: 4, type: 'tree', length: 100 } as const;
    expect(usedIn([[data(1, 100), data(2, 200), tree], joined], [1, 2, 4])).toEqual([1, 2]);
    const raw = { ...data(1, 300), uncompressed: true };
    expect(usedIn([[raw, data(2, 200)], joined], [1, 2])).toEqual([0, 2]);
  });

  it('otherwise the last one', () => {
    const packs = [5, 6, 7].map((other) => [data(1, 100), data(other, 100)]);
    expect(usedIn(packs, [1])).toEqual([0, 0, 1]);
  });
});

describe('the plan', () => {
  const half = (name: number, length: number): Blob[] => [data(name, length), data(name + 1, length)];

  it('takes the packs with the largest unused share first, as many as the limit needs', () => {
    const packs = [
      [data(1, 6 * MiB), data(2, MiB)],
      [data(3, 5 * MiB), data(4, 3 * MiB)],
      [data(5, 6 * MiB), data(6, 2 * MiB)],
    ];
    const used = [1, 3, 5];
    expect(plan(packs, used, { maxUnused: 3.5 * MiB }).repack).toEqual([1]);
    expect(plan(packs, used, { maxUnused: 2 * MiB }).repack).toEqual([1, 2]);
    expect(plan(packs, used, { maxUnused: 0 }).repack).toEqual([0, 1, 2]);
    expect(plan(packs, used, { maxUnused: 'unlimited' }).repack).toEqual([]);
    // 6 of 17 MiB are unused; 20 % of what is left may stay.
    expect(plan(packs, used, { maxUnused: '20%' }).repack).toEqual([1]);
    expect(plan(packs, used, { maxUnused: 0, maxRepackSize: 9 * MiB }).repack).toEqual([1]);
    expect(plan(packs, used, { maxUnused: 0, maxRepackSize: 0 }).repack).toEqual([]);
  });

  it('joins small packs when there are ten', () => {
    const packs = Array.from({ length: 10 }, (_, i) => [data(i, MiB)]);
    const used = packs.flat().map(({ name }) => name);
    expect(plan(packs, used, {}).repack).toHaveLength(10);
    expect(plan(packs.slice(1), used, {}).repack).toEqual([]);
    expect(plan(packs, used, { repackSmallerThan: MiB / 2 }).repack).toEqual([]);
  });

  it('takes packs for small beside those of which there are 97 in 100', () => {
    const packs = (small: number, large: number): Blob[][] =>
      Array.from({ length: small + large }, (_, i) => [data(i, (i < small ? 7 : 10) * MiB)]);
    const repacked = (small: number, large: number): number => {
      const made = packs(small, large);
      const used = made.flat().map(({ name }) => name);
      return plan(made, used, {}).repack.length;
    };
    expect(repacked(12, 388)).toBe(12);
    expect(repacked(13, 387)).toBe(0);
  });

  it('rewrites mixed packs and trees that are not compressed, whatever is unused', () => {
    const raw = (type: BlobType, name: number): Blob => ({ name, type, length: 5 * MiB, uncompressed: true });
    const packs = [
      [data(1, 5 * MiB), { name: 2, type: 'tree' as const, length: 100 }],
      [raw('tree', 3)],
      [raw('data', 4)],
    ];
    expect(plan(packs, [1, 2, 3, 4], { maxUnused: 'unlimited' }).repack).toEqual([0, 1]);
    expect(plan(packs, [1, 2, 3, 4], { maxUnused: 'unlimited', repackUncompressed: true }).repack).toEqual([0, 1, 2]);
    expect(plan(packs, [1, 2, 3, 4], { maxUnused: 'unlimited' }, 1).repack).toEqual([0]);
  });

  it('leaves data alone when only trees may be rewritten', () => {
    const packs = [
      half(1, 5 * MiB),
      [
        { name: 3, type: 'tree' as const, length: 100 },
        { name: 4, type: 'tree' as const, length: 100 },
      ],
      [data(5, 9)],
    ];
    expect(plan(packs, [1, 3], { repackCacheableOnly: true })).toMatchObject({ repack: [1], remove: [2] });
  });

  it('stops before anything when a needed pack is missing or has another size', () => {
    const { table, reached } = tableOf([half(1, 100), half(3, 100)], new Set([1]));
    const decide = (sizes: ReadonlyMap<string, number>) => new Planner(usageOf(table, reached), {}, 2).decide(sizes);
    const [needed, other] = [idOf(1000), idOf(1001)];
    const sizes = sizesOf(table);
    expect(() => decide(new Map([...sizes].filter(([id]) => id !== needed)))).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
    expect(() => decide(new Map([...sizes, [needed, 7]]))).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expect([...decide(new Map([...sizes].filter(([id]) => id !== other))).plan.missing]).toEqual([other]);
    expect([...decide(new Map([...sizes, [other, 7]])).plan.remove]).toEqual([other]);
    expect([...decide(new Map([...sizes, [idOf(5), 7]])).plan.unreferenced]).toEqual([idOf(5)]);
  });

  it.each<PruneLimits>([
    { maxUnused: '100%' },
    { maxUnused: '-1%' },
    { maxUnused: -1 },
    { maxUnused: Number.NaN },
    { maxRepackSize: -1 },
    { repackSmallerThan: 17 * MiB },
  ])('refuses %j', (limits) => {
    expect(() => checkLimits(limits, 2, 16 * MiB)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  const blob = fc.record({
    name: fc.nat(20),
    type: fc.constantFrom<BlobType>('data', 'tree'),
    length: fc.integer({ min: 33, max: 3 * MiB }),
    uncompressed: fc.boolean(),
  });
  const limits = fc.record({
    maxUnused: fc.constantFrom(0, MiB, '5%' as const, 'unlimited' as const),
    maxRepackSize: fc.constantFrom(undefined, 0, 10 * MiB),
    repackCacheableOnly: fc.boolean(),
    repackUncompressed: fc.boolean(),
  });

  it('loses nothing, and counts right', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(blob, { selector: ({ name, type }) => type + name, minLength: 1, maxLength: 6 }), {
          maxLength: 14,
        }),
        fc.uniqueArray(fc.nat(20)),
        fc.uniqueArray(fc.nat(13), { maxLength: 2 }),
        limits,
        (packs, used, lost, wishes) => {
          const { table, reached } = tableOf(packs, new Set(used));
          const usage: Usage = usageOf(table, reached);
          expect(usage.used.blobs).toBe(reached.reduce((sum, mark) => sum + mark, 0));
          const stored = sizesOf(table);
          for (const index of lost) stored.delete(idOf(1000 + index));
          let decided;
          try {
            decided = new Planner(usage, wishes, 2).decide(stored);
          } catch (error) {
            // Something is lost already, and nothing must be done.
            expect(error).toMatchObject({ code: 'corrupt' });
            expect(lost.length).toBeGreaterThan(0);
            return;
          }
          const { plan: made, stats } = decided;
          const leaving = new Set([...made.remove, ...made.repack, ...made.missing]);
          const copied = blobsToCopy(table, reached, leaving);
          for (const { type, id } of table.entries()) {
            const number = table.numberOf(type, id);
            if (reached[number] !== 1) continue;
            const packsOfIt = table.locateAll(type, id).map(({ pack }) => pack);
            const stays = packsOfIt.some((pack) => stored.has(pack) && !leaving.has(pack));
            expect(stays || (copied[number] === 1 && packsOfIt.some((pack) => made.repack.has(pack)))).toBe(true);
          }
          const { blobs, bytes } = stats;
          expect(blobs.total).toBe(table.size);
          expect(blobs.remaining).toBeGreaterThanOrEqual(blobs.used);
          expect(bytes.remaining).toBe(bytes.used + bytes.remainingUnused);
        },
      ),
      LIMIT,
    );
  });
});
