/** Which existing items may be replaced (restic manual, "Restoring in-place"). */
import { lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { parseTimestamp } from '@restic-engine/repo-format';
import type { Node, Timestamp } from '@restic-engine/repo-format';
import { fsPath } from '../../source/fs/path.ts';
import type { Overwrite } from '../types.ts';

/** May what is at `entry`, if anything, make way for `node`? */
export function mayReplace(entry: string, node: Node, overwrite: Overwrite): boolean {
  if (overwrite === 'always' || overwrite === 'if-changed') return true;
  const found = lstatSync(fsPath(entry), { bigint: true, throwIfNoEntry: false });
  return found === undefined || mayReplaceFound(found, node, overwrite);
}

/** The same for what was found there. */
export function mayReplaceFound(found: BigIntStats, node: Node, overwrite: Overwrite): boolean {
  if (overwrite === 'if-newer') return nanoseconds(node.mtime) > found.mtimeNs;
  return overwrite !== 'never';
}

/** Since 1970. */
export function nanoseconds(time: Timestamp): bigint {
  const { seconds, nanoseconds: rest } = parseTimestamp(time);
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
}
