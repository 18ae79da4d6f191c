/** What helps against the damage that a check has found. */
import type { CheckProblem } from './problems.ts';

/**
 * A repair: `repairIndex`, `repairPacks` of the damaged packs, `recover`, and `repairSnapshots` with `forget`. Each is a
 * command, too.
 */
export type Repair = 'repair-index' | 'repair-packs' | 'recover' | 'repair-snapshots';

/** The repairs in the order in which they save most. Another check afterwards may find more. */
export function suggestRepairs(errors: readonly CheckProblem[], hints: readonly CheckProblem[]): Repair[] {
  // Where the store failed there may be nothing to repair, and the next check knows more.
  const damage = errors.filter(({ failure }) => failure === undefined);
  const has = (...kinds: readonly CheckProblem['kind'][]): boolean => damage.some(({ kind }) => kinds.includes(kind));
  const isLost = has('pack-missing', 'pack-damaged', 'pack-size', 'tree-broken', 'node-broken', 'blob-missing');
  const isUnnamed = isLost && hints.some(({ kind }) => kind === 'pack-orphaned' || kind === 'pack-marked');
  const repairs: Repair[] = [];
  if (has('index-broken')) repairs.push('repair-index');
  // Before the index is made anew: it may know more of such packs than they do themselves.
  if (damage.some(isDamagedPack)) repairs.push('repair-packs');
  if (!has('index-broken') && (has('pack-missing') || isUnnamed)) repairs.push('repair-index');
  if (has('snapshot-broken')) repairs.push('recover');
  if (isLost || has('snapshot-broken')) repairs.push('repair-snapshots');
  return repairs;
}

/** Does the problem say that the content of its pack is damaged? */
export function isDamagedPack({ kind, pack, failure }: CheckProblem): boolean {
  return (
    pack !== undefined &&
    failure === undefined &&
    (kind === 'pack-damaged' || kind === 'pack-size' || kind === 'tree-broken')
  );
}
