import { prune, repairIndex } from 'restic-engine';
import type { Backend } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { expectSurvival } from './deaths.ts';
import type { Work } from './deaths.ts';
import { checkAll, forgetDays, makeHistory, packsByType } from './repository.ts';

// A prune or repair may die between any two things it does. What snapshots need is there at every moment, and the next
// run finishes the work.

/** Three of five snapshots gone, and a pack that a backup left behind without an index. */
async function makeLitter(version: 1 | 2): Promise<StoredFile[]> {
  const store = await storeOf(await makeHistory(version));
  const repository = await openStore(store);
  await forgetDays(repository, [0, 2, 3]);
  const orphan = { type: 'data', name: 'ab'.repeat(32) } as const;
  await store.save(orphan, [new Uint8Array(500)]);
  return filesOf(store);
}

describe.each([1, 2] as const)('in version %i', (version) => {
  it('a prune that dies at any call leaves every snapshot whole, and the next one finishes', async () => {
    const files = await makeLitter(version);
    const expected = await readEverything(await storeOf(files));
    const { plan } = await prune(await openStore(await storeOf(files)), { maxUnused: 0, dryRun: true });
    expect([plan.repack.size, plan.remove.size, plan.unreferenced.size].every((size) => size > 0)).toBe(true);
    const work: Work = (repository, signal) => prune(repository, { maxUnused: 0, signal });
    const judge = async (store: Backend): Promise<void> => {
      expect(await readEverything(store)).toBe(expected);
      // Nothing is named any more that has been removed.
      expect((await checkAll(store)).errors).toEqual([]);
      const { stats } = await prune(await openStore(store), { maxUnused: 0 });
      expect(stats.bytes.remainingUnused).toBe(0);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
      expect(await readEverything(store)).toBe(expected);
      const after = await prune(await openStore(store), { maxUnused: 0, dryRun: true, lock: false });
      expect(after.stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
    };
    await expectSurvival(files, work, judge, { errors: version === 2 });
  }, 120_000);
});

describe('a repair of the index that dies at any call', () => {
  it('loses nothing that was indexed, and the next one finishes', async () => {
    const whole = await makeHistory();
    const expected = await readEverything(await storeOf(whole));
    const lost = whole.find(({ type }) => type === 'index');
    const files = whole.filter((file) => file !== lost);
    const named = await packsByType(await storeOf(files));
    const judge = async (store: Backend): Promise<void> => {
      const left = await packsByType(store);
      expect(left.data).toEqual(expect.arrayContaining(named.data));
      expect(left.tree).toEqual(expect.arrayContaining(named.tree));
      await repairIndex(await openStore(store));
      expect(await readEverything(store)).toBe(expected);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    };
    const work: Work = (repository, signal) => repairIndex(repository, { signal });
    await expectSurvival(files, work, judge, { errors: true });
  }, 120_000);
});
