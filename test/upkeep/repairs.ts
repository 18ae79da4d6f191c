/** What a person does who believes `check`: the repairs that it suggests, one after the other. */
import { check, recover, repairIndex, repairPacks, repairSnapshots } from 'restic-engine';
import type { Backend, CheckResult } from 'restic-engine';
import { openStore } from '../support/damage.ts';

/** Copies of packs that repairs have kept. */
export type KeptPacks = Map<string, Uint8Array>;

/** Runs the repairs for everything that is wrong, in the order that the command line gives. */
export async function repairAll(store: Backend, kept: KeptPacks = new Map()): Promise<CheckResult> {
  const result = await check(await openStore(store), { readData: true, lock: false });
  const has = (...kinds: string[]): boolean =>
    [...result.errors, ...result.hints].some(({ kind }) => kinds.includes(kind));
  if (has('index-broken')) await repairIndex(await openStore(store));
  if (result.damagedPacks.length > 0) {
    const keepCopy = async (pack: string, bytes: Uint8Array): Promise<void> => void kept.set(pack, bytes.slice());
    await repairPacks(await openStore(store), result.damagedPacks, { keepCopy });
  }
  if (has('pack-missing', 'pack-orphaned', 'pack-duplicate')) await repairIndex(await openStore(store));
  if (has('snapshot-broken')) await recover(await openStore(store));
  await repairSnapshots(await openStore(store), { forget: true });
  return check(await openStore(store), { readData: true, lock: false });
}
