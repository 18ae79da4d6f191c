import { EngineError, prune, removeStaleLocks, repairIndex, withFaults, wrap } from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import type { FaultPlan } from '@restic-engine/backends';
import { describe, expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { checkAll, forAll, forgetDays, makeHistory, packsByType } from './repository.ts';

// A prune or repair may die between any two things it does. What snapshots need is there at every moment, and the next
// run finishes the work.

/** Something to do to a repository. */
type Work = (repository: Repository) => Promise<unknown>;

interface Death {
  readonly calls: number;
  readonly when: 'before' | 'after';
}

/** Dies instead of the call after the first `calls`, or when that call has been carried out but nobody knows. */
function planOf({ calls, when }: Death): FaultPlan {
  const crash = { after: when === 'before' ? calls : calls + 1 };
  return when === 'before' ? { crash } : { crash, faults: [{ nth: calls + 1, effect: { kind: 'fail-after' } }] };
}

async function countCalls(files: readonly StoredFile[], work: Work): Promise<number> {
  let calls = 0;
  const repository = await openStore(await storeOf(files));
  const counted = wrap(repository.backend, withFaults({ onCall: () => (calls += 1) }));
  await work(await openStore(counted));
  return calls;
}

/** Lets `work` die at every call and hands over what is left. */
async function expectSurvival(
  files: readonly StoredFile[],
  work: Work,
  judge: (store: Backend, hasDied: boolean) => Promise<void>,
): Promise<void> {
  const calls = await countCalls(files, work);
  expect(calls).toBeGreaterThan(10);
  const deaths = (['before', 'after'] as const).flatMap((when) =>
    Array.from({ length: calls }, (_, index): Death => ({ calls: index, when })),
  );
  let died = 0;
  await forAll(deaths, async (death) => {
    const store = await storeOf(files);
    let hasDied = false;
    try {
      await work(await openStore(wrap(store, withFaults(planOf(death)))));
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      hasDied = true;
      died += 1;
    }
    await removeStaleLocks(await openStore(store), { all: true });
    await judge(store, hasDied);
  });
  expect(died).toBeGreaterThan(calls);
}

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
    const work: Work = (repository) => prune(repository, { maxUnused: 0 });
    await expectSurvival(files, work, async (store) => {
      expect(await readEverything(store)).toBe(expected);
      // Nothing is named any more that has been removed.
      expect((await checkAll(store)).errors).toEqual([]);
      const { stats } = await prune(await openStore(store), { maxUnused: 0 });
      expect(stats.bytes.remainingUnused).toBe(0);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
      expect(await readEverything(store)).toBe(expected);
      const after = await prune(await openStore(store), { maxUnused: 0, dryRun: true, lock: false });
      expect(after.stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
    });
  }, 60_000);
});

describe('a repair of the index that dies at any call', () => {
  it('loses nothing that was indexed, and the next one finishes', async () => {
    const whole = await makeHistory();
    const expected = await readEverything(await storeOf(whole));
    const lost = whole.find(({ type }) => type === 'index');
    const files = whole.filter((file) => file !== lost);
    const named = await packsByType(await storeOf(files));
    await expectSurvival(files, repairIndex, async (store) => {
      const left = await packsByType(store);
      expect(left.data).toEqual(expect.arrayContaining(named.data));
      expect(left.tree).toEqual(expect.arrayContaining(named.tree));
      await repairIndex(await openStore(store));
      expect(await readEverything(store)).toBe(expected);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    });
  }, 60_000);
});
