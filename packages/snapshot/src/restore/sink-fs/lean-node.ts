/** Nodes on their way to a worker: every field costs time to send. */
import type { Node } from '@restic-engine/repo-format';

/** The node of an entry with only what creating it and its metadata needs. */
export function leanNode(node: Node, ownershipByName: boolean): Node {
  const { name, type, mode, mtime, atime, ctime, uid, gid } = node;
  const lean = { name, type, mode, mtime, atime, ctime, uid, gid, content: null };
  const plain =
    type === 'file' &&
    !ownershipByName &&
    node.extendedAttributes === undefined &&
    node.genericAttributes === undefined;
  if (plain) return lean;
  const { user, group, linkTarget, device, extendedAttributes, genericAttributes } = node;
  return { ...lean, user, group, linkTarget, device, extendedAttributes, genericAttributes };
}
