/** What is at the place of a file already, and what that means for it. */
import { lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { Node } from '@restic-engine/repo-format';
import { fsPath } from '../../source/fs/path.ts';
import type { PlannedFile } from '../plan.ts';
import type { RestoreRun } from '../run.ts';
import { mayReplaceFound, nanoseconds } from './overwrite.ts';
import type { FolderState } from './folder-maker.ts';
import type { Folders } from './folders.ts';

/** Plans a file. Undefined if there is nothing to do for it, which is reported. */
export function planFile(
  run: RestoreRun,
  folders: Folders,
  state: FolderState,
  folder: string,
  node: Node,
  path: string,
): PlannedFile | undefined {
  let found: BigIntStats | undefined;
  try {
    found = state === 'new' ? undefined : lstatSync(fsPath(folders.child(folder, node.name)), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    run.report.failed(path, error);
    return undefined;
  }
  const size = Number(node.size ?? 0);
  if (found !== undefined && !mayReplaceFound(found, node, run.overwrite)) {
    run.report.skipped(path, size);
    return undefined;
  }
  const reusable = found !== undefined && isReusable(found, node);
  const trusted = reusable && run.overwrite === 'if-changed' && isTrusted(found, node);
  return {
    folder,
    path,
    node,
    size,
    opening: trusted ? 'keep' : reusable ? 'update' : 'create',
    existingSize: reusable ? Number(found?.size) : undefined,
    shared: found !== undefined && found.nlink > 1n,
    offset: 0,
    remaining: node.content?.length ?? 0,
    matching: 0,
    prepared: false,
    failed: false,
  };
}

/** A file with further names may be what the snapshot describes only if that has further names as well. */
function isReusable(found: BigIntStats, node: Node): boolean {
  return found.isFile() && (found.nlink === 1n || (node.links ?? 0) > 1);
}

function isTrusted(found: BigIntStats | undefined, node: Node): boolean {
  return found?.size === BigInt(node.size ?? 0) && found.mtimeNs === nanoseconds(node.mtime);
}
