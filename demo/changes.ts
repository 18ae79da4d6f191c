/** What happens to the tree between the two backups of the demo. */
import { chmodSync, closeSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { entriesOf } from './tree.ts';

/** A path as the difference of two snapshots names it: `+` added, `-` removed, `M` modified. */
export interface Change {
  readonly kind: '+' | '-' | 'M';
  /** Relative to the folder. */
  readonly path: string;
  readonly about: string;
}

const PATCH = Buffer.from('changed by the demo of restic-engine\n');

/** Changes the largest files of a tree and adds one; returns what a difference of snapshots must show, by path. */
export async function changeTree(folder: string, signal: AbortSignal): Promise<Change[]> {
  const files: { path: string; size: number; mode: number }[] = [];
  for await (const { path, stat } of entriesOf(folder, signal)) {
    if (stat.isFile()) files.push({ path, size: Number(stat.size), mode: Number(stat.mode) & 0o7777 });
  }
  files.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
  const [edited, moved, removed, restricted] = files;
  const changes: Change[] = [];
  if (edited !== undefined) {
    overwrite(join(folder, edited.path), edited.size);
    changes.push({ kind: 'M', path: edited.path, about: 'some bytes in the middle overwritten' });
  }
  if (moved !== undefined) {
    const path = `${moved.path}.moved`;
    renameSync(join(folder, moved.path), join(folder, path));
    changes.push({ kind: '-', path: moved.path, about: 'moved' });
    changes.push({ kind: '+', path, about: 'the same content, so nothing to store' });
  }
  if (removed !== undefined) {
    rmSync(join(folder, removed.path));
    changes.push({ kind: '-', path: removed.path, about: 'removed' });
  }
  if (restricted !== undefined) {
    chmodSync(join(folder, restricted.path), restricted.mode ^ 0o040);
    changes.push({ kind: 'M', path: restricted.path, about: 'mode changed' });
  }
  const added = 'added by the demo \u{1f4be}.txt';
  writeFileSync(join(folder, added), PATCH);
  changes.push({ kind: '+', path: added, about: 'new' });
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function overwrite(path: string, size: number): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, PATCH, 0, PATCH.length, Math.floor(size / 2));
  } finally {
    closeSync(fd);
  }
}
