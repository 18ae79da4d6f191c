/** What can be wrong with a repository, what a check calls it, what helps, and what is lost for good. */
import { INDEX_DAMAGES } from './damages-of-indexes.ts';
import { PACK_DAMAGES } from './damages-of-packs.ts';
import { SNAPSHOT_DAMAGES } from './damages-of-snapshots.ts';
import type { Damage } from './damaging.ts';

export const DAMAGES: readonly Damage[] = [...PACK_DAMAGES, ...INDEX_DAMAGES, ...SNAPSHOT_DAMAGES];

/** The damage that is called so. */
export function damageOf(title: string): Damage {
  const damage = DAMAGES.find((each) => each.title === title);
  if (damage === undefined) throw new Error(`there is no damage called ${title}`);
  return damage;
}
