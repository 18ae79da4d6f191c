/** Gives restored entries the metadata of their nodes. */
import { chmodSync, lchownSync, lutimesSync } from 'node:fs';
import { EngineError, type Node, parseTimestamp, permissionBits } from '@restic-engine/repo-format';
import type { NativeCalls, SystemTime } from '../../native/native.ts';
import { fromNodeError } from '../../native/system-error.ts';
import { fsPath } from '../../source/fs/path.ts';
import type { UserDatabase } from '../../source/fs/users.ts';

export interface MetadataWriterSettings {
  /** Sets extended attributes and exact times; without it times are cut to microseconds. */
  readonly native: NativeCalls | undefined;
  /** Give entries to the user and group of the recorded names instead of ids; unknown names mean root, as in restic. */
  readonly ownershipByName?: UserDatabase;
  /** Which extended attributes are set, and removed where the node does not have them. All without it. */
  readonly selectXattr?: (name: string) => boolean;
  /** May this process change owners? Refusals are not worth a report if not. */
  readonly privileged: boolean;
}

export interface MetadataWriter {
  /**
   * Applies owner, extended attributes, times and mode to the entry at `path`, in this order. All are attempted; what
   * fails goes to `onProblem`. `chmod` alone follows links: `modePath` may lead to the same entry in a way that nobody
   * can bend.
   */
  apply(path: string, node: Node, onProblem: (problem: EngineError) => void, modePath?: string): void;
}

/** Problems that would be the same for every entry are reported once for each writer. */
export function createMetadataWriter(settings: MetadataWriterSettings): MetadataWriter {
  const { native, privileged } = settings;
  const select = settings.selectXattr ?? (() => true);
  let toldUnsupported = false;
  const once = (problem: EngineError, report: (problem: EngineError) => void): void => {
    if (!toldUnsupported) report(problem);
    toldUnsupported = true;
  };
  return {
    apply(path, node, onProblem, modePath = path) {
      const attempt = (step: () => void): void => {
        try {
          step();
        } catch (error) {
          const problem = fromNodeError(error, path);
          if (EngineError.is(problem, 'unsupported')) once(problem, onProblem);
          else if (privileged || !isRefusal(problem)) onProblem(problem);
        }
      };
      attempt(() => setOwner(path, node, settings.ownershipByName));
      if (native !== undefined) setXattrs(path, node, native, select, attempt);
      else if (node.extendedAttributes?.some(({ name }) => select(name))) {
        once(new EngineError('unsupported', 'extended attributes are not restored without koffi', { path }), onProblem);
      }
      attempt(() => setTimes(path, node, native));
      if (node.type !== 'symlink') attempt(() => chmodSync(fsPath(modePath), permissionBits(node.mode)));
    },
  };
}

/** Is this process allowed to change owners, like root? */
export function isPrivileged(): boolean {
  return process.geteuid?.() === 0;
}

/** A file system that cannot be written to is worth a report for everybody. */
function isRefusal(problem: EngineError): boolean {
  return problem.context.errno === 'EPERM' || problem.context.errno === 'EACCES';
}

function setOwner(path: string, node: Node, byName: UserDatabase | undefined): void {
  const uid = byName ? (byName.userId(node.user ?? '') ?? 0) : node.uid;
  const gid = byName ? (byName.groupId(node.group ?? '') ?? 0) : node.gid;
  lchownSync(fsPath(path), uid, gid);
}

function setXattrs(
  path: string,
  node: Node,
  native: NativeCalls,
  select: (name: string) => boolean,
  attempt: (step: () => void) => void,
): void {
  const wanted = new Set<string>();
  for (const { name, value } of node.extendedAttributes ?? []) {
    if (!select(name)) continue;
    wanted.add(name);
    attempt(() => native.setXattr(path, name, value ?? new Uint8Array()));
  }
  attempt(() => {
    for (const name of native.listXattrs(path)) {
      if (!wanted.has(name) && select(name)) attempt(() => native.removeXattr(path, name));
    }
  });
}

function setTimes(path: string, node: Node, native: NativeCalls | undefined): void {
  const atime = parseTimestamp(node.atime);
  const mtime = parseTimestamp(node.mtime);
  if (native !== undefined) native.setTimes(path, atime, mtime);
  else lutimesSync(fsPath(path), nodeTime(atime), nodeTime(mtime));
}

/** Node takes seconds with fractions, but a negative number for "now": earlier times must be dates, in milliseconds. */
function nodeTime({ seconds, nanoseconds }: SystemTime): number | Date {
  if (seconds < 0) return new Date(seconds * 1000 + Math.trunc(nanoseconds / 1e6));
  return seconds + nanoseconds / 1e9;
}
