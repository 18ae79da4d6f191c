/** What a person does who believes `check`: the repairs that it suggests, one after the other. */
import { check, recover, repairIndex, repairPacks, repairSnapshots } from 'restic-engine';
import type { Backend, CheckResult, Repair } from 'restic-engine';
import { openStore } from '../support/damage.ts';

/** Copies of packs that repairs have kept. */
export type KeptPacks = Map<string, Uint8Array>;

/** Runs one repair that a check suggested. */
export async function repair(
  store: Backend,
  name: Repair,
  { damagedPacks }: CheckResult,
  kept: KeptPacks,
): Promise<void> {
  const repository = await openStore(store);
  const keepCopy = async (pack: string, bytes: Uint8Array): Promise<void> => void kept.set(pack, bytes.slice());
  switch (name) {
    case 'repair-index':
      return void (await repairIndex(repository));
    case 'repair-packs':
      return void (await repairPacks(repository, damagedPacks, { keepCopy }));
    case 'recover':
      return void (await recover(repository));
    case 'repair-snapshots':
      return void (await repairSnapshots(repository, { forget: true }));
  }
}

/** As often as somebody checks again who was told to repair. */
const ROUNDS = 3;

/** Runs all repairs, and those that the next check suggests, until nothing is wrong. Resolves with the last check. */
export async function repairAll(
  store: Backend,
  kept: KeptPacks = new Map(),
  without: readonly Repair[] = [],
): Promise<CheckResult> {
  for (let round = 1; ; round++) {
    const result = await check(await openStore(store), { readData: true, lock: false });
    const repairs = result.repairs.filter((name) => !without.includes(name));
    if (repairs.length === 0 || round > ROUNDS) return result;
    for (const name of repairs) await repair(store, name, result, kept);
  }
}
