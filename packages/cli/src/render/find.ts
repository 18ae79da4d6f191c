/** What `find` has found, as text or as one array of JSON. */
import type { FoundBlob, SnapshotEntry, WalkedNode } from 'restic-engine';
import { toJson, withoutZero } from './json.ts';
import { formatMode } from './mode.ts';
import { textPrinter } from './node.ts';
import type { Screen } from './screen.ts';
import { canonicalTime, formatLocalTime } from './time.ts';

/** Turns what was found into text, piece by piece, snapshot after snapshot. */
export interface FindPrinter<Found> {
  found(snapshot: SnapshotEntry, found: Found): string;
  end(): string;
}

export interface NodeTextOptions {
  readonly long: boolean;
  readonly humanReadable: boolean;
  /** Paths only. */
  readonly quiet: boolean;
  readonly screen: Screen;
}

/** Paths, below a line about the snapshot they are in. */
export function nodeText({ quiet, ...options }: NodeTextOptions): FindPrinter<WalkedNode> {
  const printer = textPrinter({ ...options, folders: [], quiet });
  let before: SnapshotEntry | undefined;
  return {
    found(snapshot, entry) {
      const title = `Found matching entries in snapshot ${snapshot.id.slice(0, 8)} from ${formatLocalTime(snapshot.time)}\n`;
      const head = quiet || snapshot === before ? '' : `${before === undefined ? '' : '\n'}${title}`;
      before = snapshot;
      return head + printer.node(entry);
    },
    end: () => '',
  };
}

/** `[{"matches":[…],"hits":2,"snapshot":"…"}]` */
export function nodeJson(): FindPrinter<WalkedNode> {
  let before: SnapshotEntry | undefined;
  let hits = 0;
  const tail = (): string => (before === undefined ? '' : `],"hits":${hits},"snapshot":"${before.id}"}`);
  return {
    found(snapshot, { path, node }) {
      const end = before === undefined ? '[' : `${tail()},`;
      const head = snapshot === before ? ',' : `${end}{"matches":[`;
      hits = snapshot === before ? hits + 1 : 1;
      before = snapshot;
      const { type, mode, uid, gid, user, group, inode, size, links, error } = node;
      const [mtime, atime, ctime] = [node.mtime, node.atime, node.ctime].map(canonicalTime);
      const owner = { mtime, atime, ctime, uid, gid };
      const rest = { user, group, inode, device_id: node.deviceId, size, links, linktarget: node.linkTarget, error };
      const kind = { path, permissions: formatMode(mode), type, ...(mode === 0 ? {} : { mode }) };
      return head + toJson({ ...kind, ...owner, ...withoutZero(rest) });
    },
    end: () => (before === undefined ? '[]\n' : `${tail()}]\n`),
  };
}

/** Three or four lines for each place. */
export function idText({ name }: Screen): FindPrinter<FoundBlob> {
  return {
    found({ id: snapshot, time }, { type, id, path, parentTree }) {
      const where =
        type === 'data'
          ? [`Found blob ${id}`, ` ... in file ${name(path)}`, `     (tree ${parentTree ?? ''})`]
          : [`Found tree ${id}`, ` ... path ${name(path)}`];
      return `${[...where, ` ... in snapshot ${snapshot.slice(0, 8)} (${formatLocalTime(time)})`].join('\n')}\n`;
    },
    end: () => '',
  };
}

/** An array with an object for each place. */
export function idJson(): FindPrinter<FoundBlob> {
  let separator = '[';
  return {
    found(snapshot, { type, id, path, parentTree }) {
      const object = { object_type: type === 'data' ? 'blob' : 'tree', id, path, parent_tree: parentTree };
      const text = separator + toJson({ ...object, snapshot: snapshot.id, time: canonicalTime(snapshot.time) });
      separator = ',';
      return text;
    },
    end: () => (separator === '[' ? '[]\n' : ']\n'),
  };
}
