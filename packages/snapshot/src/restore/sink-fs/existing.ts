/** What is at the place of a file already, and what that means for it. */
import { lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { Node } from '@restic-engine/repo-format';
import { fsPath } from '../../source/fs/path.ts';
import type { PlannedFile } from '../plan.ts';
import type { RestoreRun } from '../run.ts';
import type { Overwrite } from '../types.ts';
import { mayReplaceFound, nanoseconds } from './overwrite.ts';
import type { FolderState } from './folder-maker.ts';
import type { Folders } from './folders.ts';

/** A file of the snapshot, and the directory it belongs to. */
export interface FileEntry {
  readonly folder: string;
  readonly state: FolderState;
  readonly node: Node;
  readonly path: string;
}

/** Plans a file. Undefined if there is nothing to do for it, which is reported. */
export function planFile(run: RestoreRun, folders: Folders, entry: FileEntry): PlannedFile | undefined {
  const { folder, node, path } = entry;
  const size = Number(node.size ?? 0);
  let found: BigIntStats | undefined;
  try {
    found = look(folders, entry);
  } catch (error) {
    run.report.failed(path, error);
    return undefined;
  }
  if (found !== undefined && !mayReplaceFound(found, node, run.overwrite)) {
    run.report.skipped(path, size);
    return undefined;
  }
  return {
    folder,
    path,
    node,
    size,
    ...meet(found, node, run.overwrite),
    offset: 0,
    remaining: node.content?.length ?? 0,
    matching: 0,
    prepared: false,
    failed: false,
  };
}

function look(folders: Folders, { folder, state, node }: FileEntry): BigIntStats | undefined {
  if (state === 'new') return undefined;
  return lstatSync(fsPath(folders.child(folder, node.name)), { bigint: true, throwIfNoEntry: false });
}

/** How a file meets what was found in its place. */
function meet(
  found: BigIntStats | undefined,
  node: Node,
  overwrite: Overwrite,
): Pick<PlannedFile, 'opening' | 'existingSize' | 'shared'> {
  if (found === undefined || !isReusable(found, node)) {
    return { opening: 'create', existingSize: undefined, shared: false };
  }
  const trusted = overwrite === 'if-changed' && isTrusted(found, node);
  return { opening: trusted ? 'keep' : 'update', existingSize: Number(found.size), shared: found.nlink > 1n };
}

/** A file with further names may be what the snapshot describes only if that has further names as well. */
function isReusable(found: BigIntStats, node: Node): boolean {
  return found.isFile() && (found.nlink === 1n || (node.links ?? 0) > 1);
}

function isTrusted(found: BigIntStats, node: Node): boolean {
  return found.size === BigInt(node.size ?? 0) && found.mtimeNs === nanoseconds(node.mtime);
}
