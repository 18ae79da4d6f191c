/** Creates the files that are neither files, directories nor links. */
import { EngineError, type Node, toStMode } from '@restic-engine/repo-format';
import type { NativeCalls } from '../native/native.ts';

/** Type bits of `st_mode`. */
const TYPE_BITS = 0o170000;
/** Until the metadata is applied nobody else gets at it. */
const PRIVATE = 0o600;

/**
 * Creates a named pipe or a device at `path`, which must not exist, with mode 0600. Throws `unsupported` where the
 * system call is missing, `denied` to those who may not create devices, `already-exists`, `io`.
 */
export function createSpecialFile(path: string, node: Node, native: NativeCalls | undefined): void {
  const makeNode = native?.makeNode;
  if (makeNode === undefined) {
    throw new EngineError('unsupported', `a ${node.type} cannot be created without koffi`, { path });
  }
  makeNode(path, (toStMode(node.mode) & TYPE_BITS) | PRIVATE, node.type === 'fifo' ? 0 : (node.device ?? 0));
}
