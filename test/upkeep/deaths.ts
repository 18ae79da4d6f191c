/** Lets work on repositories die at every call of a backend. */
import { EngineError, removeStaleLocks, withFaults, wrap } from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import type { FaultPlan, Wrapper } from '@restic-engine/backends';
import { expect } from 'vitest';
import { openStore, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { forAll } from './repository.ts';

/** Something to do to a repository. */
export type Work = (repository: Repository) => Promise<unknown>;

interface Death {
  readonly calls: number;
  readonly when: 'before' | 'after';
}

/** Dies instead of the call after the first `calls`, or when that call has been carried out but nobody knows. */
function planOf({ calls, when }: Death): FaultPlan {
  const crash = { after: when === 'before' ? calls : calls + 1 };
  return when === 'before' ? { crash } : { crash, faults: [{ nth: calls + 1, effect: { kind: 'fail-after' } }] };
}

/** What may die, and what is judged afterwards. */
export interface Mortal<Stores> {
  readonly setUp: () => Promise<Stores>;
  /** The backend that `faults` is around is the one whose calls are counted. */
  readonly work: (stores: Stores, faults: Wrapper) => Promise<unknown>;
  readonly judge: (stores: Stores, hasDied: boolean) => Promise<void>;
}

/** Lets work die before and after every call, each time with stores of its own. */
export async function atEveryCall<Stores>({ setUp, work, judge }: Mortal<Stores>): Promise<void> {
  let calls = 0;
  await work(await setUp(), withFaults({ onCall: () => (calls += 1) }));
  expect(calls).toBeGreaterThan(10);
  const deaths = (['before', 'after'] as const).flatMap((when) =>
    Array.from({ length: calls }, (_, index): Death => ({ calls: index, when })),
  );
  let died = 0;
  await forAll(deaths, async (death) => {
    const stores = await setUp();
    let hasDied = false;
    try {
      await work(stores, withFaults(planOf(death)));
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      hasDied = true;
      died += 1;
    }
    await judge(stores, hasDied);
  });
  expect(died).toBeGreaterThan(calls);
}

/** Lets work on one repository die at every call and hands over what is left, without the lock. */
export function expectSurvival(
  files: readonly StoredFile[],
  work: Work,
  judge: (store: Backend, hasDied: boolean) => Promise<void>,
): Promise<void> {
  return atEveryCall({
    setUp: () => storeOf(files),
    work: async (store, faults) => work(await openStore(wrap(store, faults))),
    judge: async (store, hasDied) => {
      await removeStaleLocks(await openStore(store), { all: true });
      await judge(store, hasDied);
    },
  });
}
