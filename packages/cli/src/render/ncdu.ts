/** The export format of ncdu (https://dev.yorhel.nl/ncdu/jsonfmt). */
import type { ListedNode } from '../listing.ts';
import type { Engine } from '../open.ts';
import { toJson } from './json.ts';
import type { NodePrinter } from './node.ts';
import { snapshotJson } from './snapshot.ts';

const BLOCK = 512n;

/** Prints nodes in the order of the trees: a folder is an array that starts with its own record. */
export function ncduPrinter(engine: Engine): NodePrinter {
  /** Folders that are open, the innermost last. */
  const open: string[] = [];
  const indent = (): string => '  '.repeat(open.length + 1);
  const closeUntil = (path: string): string => {
    let text = '';
    for (let top = open.at(-1); top !== undefined && !path.startsWith(`${top}/`); top = open.at(-1)) {
      open.pop();
      text += `\n${indent()}]`;
    }
    return text;
  };
  return {
    begin: (snapshot) => `[1, 2, ${snapshotJson(engine, snapshot)}, [{"name":"/"}`,
    node: ({ path, node }) => {
      const before = `${closeUntil(path)},\n${indent()}`;
      const record = toJson(ncduRecord(engine, node));
      if (node.type !== 'dir') return before + record;
      open.push(path);
      return `${before}[\n${indent()}${record}`;
    },
    end: () => `${closeUntil('')}\n]\n]\n`,
  };
}

function ncduRecord(engine: Engine, node: ListedNode['node']): Record<string, unknown> {
  const size = BigInt(node.size ?? 0);
  return {
    name: node.name,
    asize: size,
    dsize: ((size + BLOCK - 1n) / BLOCK) * BLOCK,
    dev: node.deviceId ?? 0,
    ino: node.inode ?? 0,
    nlink: node.links ?? 0,
    notreg: node.type !== 'dir' && node.type !== 'file',
    uid: node.uid,
    gid: node.gid,
    mode: engine.permissionBits(node.mode),
    // ncdu takes no times before 1970.
    mtime: Math.max(0, engine.parseTimestamp(node.mtime).seconds),
  };
}
