/** Nodes as `ls` shows them. */
import type { SnapshotEntry } from 'restic-engine';
import type { ListedNode } from '../listing.ts';
import type { Engine } from '../open.ts';
import { formatBytes } from './bytes.ts';
import { toJson } from './json.ts';
import { formatMode } from './mode.ts';
import type { Screen } from './screen.ts';
import { describeSnapshot, snapshotMembers } from './snapshot.ts';
import { canonicalTime, formatLocalTime } from './time.ts';

/** Turns nodes into text, piece by piece; names are bytes that need not be UTF-8. */
export interface NodePrinter {
  begin(snapshot: SnapshotEntry): string;
  node(entry: ListedNode): string;
  end(): string;
}

export interface TextOptions {
  readonly folders: readonly string[];
  readonly long: boolean;
  readonly humanReadable: boolean;
  /** Without the line about the snapshot. */
  readonly quiet: boolean;
  readonly screen: Screen;
}

/** One path a line, with --long what is known of it. */
export function textPrinter({ folders, long, humanReadable, quiet, screen }: TextOptions): NodePrinter {
  return {
    begin: (snapshot) =>
      quiet
        ? ''
        : `snapshot ${describeSnapshot(snapshot, screen)} filtered by [${folders.map(screen.name).join(' ')}]:\n`,
    node: ({ path, node }) => {
      if (!long) return `${screen.name(path)}\n`;
      const number = (value: number | bigint, width: number): string => String(value).padStart(width);
      const size = humanReadable ? formatBytes(Number(node.size ?? 0)) : number(node.size ?? 0, 6);
      const target = node.type === 'symlink' ? ` -> ${screen.name(node.linkTarget ?? '')}` : '';
      const owner = `${number(node.uid, 5)} ${number(node.gid, 5)}`;
      return `${formatMode(node.mode)} ${owner} ${size} ${formatLocalTime(node.mtime)} ${screen.name(path)}${target}\n`;
    },
    end: () => '',
  };
}

/** One object a line, restic's. */
export function jsonPrinter(engine: Engine): NodePrinter {
  return {
    begin: (snapshot) => `{${snapshotMembers(engine, snapshot)},"message_type":"snapshot","struct_type":"snapshot"}\n`,
    node: ({ path, node }) =>
      `${toJson({
        name: node.name,
        type: node.type,
        path,
        uid: node.uid,
        gid: node.gid,
        size: node.type === 'file' ? (node.size ?? 0) : undefined,
        mode: node.mode || undefined,
        permissions: formatMode(node.mode),
        mtime: canonicalTime(node.mtime),
        atime: canonicalTime(node.atime),
        ctime: canonicalTime(node.ctime),
        inode: node.inode || undefined,
        message_type: 'node',
        struct_type: 'node',
      })}\n`,
    end: () => '',
  };
}
