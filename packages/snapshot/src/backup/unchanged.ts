/** Has an entry changed since the parent snapshot? (restic manual, "File change detection") */
import { compareTimestamps } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';

export interface ChangeRules {
  readonly ignoreInode: boolean;
  readonly ignoreCtime: boolean;
}

/** May the content that `previous` lists stand for the file that `node` describes? */
export function isUnchangedFile(previous: Node | undefined, node: Node, rules: ChangeRules): previous is Node {
  return (
    previous !== undefined &&
    previous.type === 'file' &&
    (previous.size ?? 0) === (node.size ?? 0) &&
    sameTime(previous.mtime, node.mtime) &&
    (rules.ignoreCtime || rules.ignoreInode || sameTime(previous.ctime, node.ctime)) &&
    (rules.ignoreInode || (previous.inode ?? 0) === (node.inode ?? 0))
  );
}

/** Do both describe the same directory with the same entries? */
export function isUnchangedDirectory(previous: Node, node: Node): boolean {
  return (
    previous.subtree === node.subtree &&
    previous.mode === node.mode &&
    previous.uid === node.uid &&
    previous.gid === node.gid &&
    sameTime(previous.mtime, node.mtime) &&
    sameTime(previous.ctime, node.ctime)
  );
}

function sameTime(a: string, b: string): boolean {
  return a === b || compareTimestamps(a, b) === 0;
}

/** Looks up names of a sorted tree that are asked for in the same order. */
export class SortedNodes {
  readonly #nodes: readonly Node[];
  readonly #compare: (a: string, b: string) => number;
  #next = 0;

  constructor(nodes: readonly Node[], compare: (a: string, b: string) => number) {
    this.#nodes = nodes;
    this.#compare = compare;
  }

  find(name: string): Node | undefined {
    for (;;) {
      const node = this.#nodes[this.#next];
      if (node === undefined) return undefined;
      const order = node.name === name ? 0 : this.#compare(node.name, name);
      if (order > 0) return undefined;
      this.#next += 1;
      if (order === 0) return node;
    }
  }
}
