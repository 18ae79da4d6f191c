/** From the paths a backup is asked for to the shape of its tree. */
import { compareNames, EngineError } from '@restic-engine/repo-format';
import { cleanPath, resolvePath } from '../../filter/clean-path.ts';
import { fromNodeError } from '../../native/system-error.ts';
import { listDirectory } from './list.ts';
import { lstatExact } from './metadata.ts';
import { joinPath } from './path.ts';

/** What planning needs to know of a file system. Paths are absolute; both calls throw what is wrong. */
export interface TargetFileSystem {
  /** The absolute directory that relative targets start from. */
  readonly cwd: string;
  /** Succeeds if the path itself, not what a link points to, is there. */
  lstat(path: string): unknown;
  /** The names in a directory; a symbolic link to one is followed. */
  list(path: string): readonly string[];
}

/** An entry of the tree to be saved. */
export type TargetNode = TargetLeaf | TargetDirectory;

/** Something to be saved whole. */
export interface TargetLeaf {
  readonly kind: 'leaf';
  /** Its name in the snapshot. */
  readonly name: string;
  /** Where it is, absolute. */
  readonly path: string;
  /** Named by the caller rather than found in a directory; patterns do not exclude it. */
  readonly explicit: boolean;
}

/** A directory of which only `children` are saved; its own metadata comes from `path`, through symbolic links. */
export interface TargetDirectory {
  readonly kind: 'directory';
  readonly name: string;
  readonly path: string;
  /** In byte order of their names. */
  readonly children: readonly TargetNode[];
}

export interface TargetPlan {
  /** The top level of the tree, in byte order. */
  readonly children: readonly TargetNode[];
  /** For the snapshot: the targets that exist as absolute paths, in the order given, repeated ones too. */
  readonly paths: readonly string[];
  /** Targets that cannot be accessed. */
  readonly missing: readonly { readonly target: string; readonly problem: EngineError }[];
}

interface Draft {
  readonly name: string;
  /** Where the first component is found: `/`, `.`, `..`, `../..`. Names may repeat there. */
  readonly root: string;
  /** The first component before it was renamed. */
  readonly origin: string;
  readonly path: string;
  /** To be saved whole. */
  leaf: boolean;
  explicit: boolean;
  readonly children: Map<string, Draft>;
}

/** The local file system as seen from `cwd`. */
export function localTargets(cwd: string): TargetFileSystem {
  return { cwd, lstat: lstatExact, list: listDirectory };
}

/**
 * Plans the tree of a backup as restic does: directories above a target are kept, `..` at its start vanishes, a target
 * without any name (`.`, `..`, `/`) stands for its entries, and a top-level name that comes from a second place gets
 * `-1`, `-2`, … appended. A target inside another one is merged with it.
 *
 * Throws what `fs` reports when a directory that must be expanded cannot be read.
 */
export function planTargets(targets: readonly string[], fs: TargetFileSystem): TargetPlan {
  const missing: { target: string; problem: EngineError }[] = [];
  const present = targets.filter((target) => {
    const problem = accessProblem(target, fs);
    if (problem !== undefined) missing.push({ target, problem });
    return problem === undefined;
  });
  const planner = new Planner(fs);
  for (const target of present) planner.add(cleanPath(target));
  return { children: planner.finish(), paths: present.map((target) => resolvePath(fs.cwd, target)), missing };
}

function accessProblem(target: string, fs: TargetFileSystem): EngineError | undefined {
  if (target === '') return new EngineError('not-found', 'the empty path names nothing');
  try {
    fs.lstat(resolvePath(fs.cwd, target));
    return undefined;
  } catch (error) {
    return fromNodeError(error, target);
  }
}

class Planner {
  readonly #fs: TargetFileSystem;
  readonly #top = new Map<string, Draft>();
  readonly #seen = new Set<string>();

  constructor(fs: TargetFileSystem) {
    this.#fs = fs;
  }

  /** Adds a cleaned target. */
  add(target: string): void {
    if (namesOf(target).length > 0) {
      this.#insert(target, true);
      return;
    }
    for (const name of this.#list(resolvePath(this.#fs.cwd, target))) {
      this.#insert(cleanPath(`${target}/${name}`), false);
    }
  }

  finish(): TargetNode[] {
    return this.#finished(this.#top);
  }

  #insert(target: string, explicit: boolean): void {
    if (this.#seen.has(target)) return;
    this.#seen.add(target);
    const [first = '', ...rest] = namesOf(target);
    let draft = this.#topDraft(first, rootOf(target));
    for (const name of rest) {
      let child = draft.children.get(name);
      if (child === undefined) {
        child = newDraft(name, joinPath(draft.path, name), draft);
        draft.children.set(name, child);
      }
      draft = child;
    }
    draft.leaf = true;
    draft.explicit = explicit;
  }

  /** The top-level entry for `origin` of `root`, under the first name that nothing from elsewhere has. */
  #topDraft(origin: string, root: string): Draft {
    for (let count = 0; ; count++) {
      const name = count === 0 ? origin : `${origin}-${count}`;
      const found = this.#top.get(name);
      if (found?.root === root && found.origin === origin) return found;
      if (found !== undefined) continue;
      const path = joinPath(resolvePath(this.#fs.cwd, root), origin);
      const draft = newDraft(name, path, { root, origin });
      this.#top.set(name, draft);
      return draft;
    }
  }

  /** Replaces targets that hold other targets by their entries. */
  #finished(drafts: ReadonlyMap<string, Draft>): TargetNode[] {
    const nodes: TargetNode[] = [];
    for (const draft of drafts.values()) {
      const { name, path, explicit, children } = draft;
      if (children.size === 0) {
        nodes.push({ kind: 'leaf', name, path, explicit });
        continue;
      }
      for (const entry of draft.leaf ? this.#list(path) : []) {
        const child = children.get(entry) ?? newDraft(entry, joinPath(path, entry), draft);
        child.leaf = true;
        children.set(entry, child);
      }
      nodes.push({ kind: 'directory', name, path, children: this.#finished(children) });
    }
    return nodes.sort((a, b) => compareNames(a.name, b.name));
  }

  #list(path: string): readonly string[] {
    try {
      return this.#fs.list(path);
    } catch (error) {
      throw fromNodeError(error, path);
    }
  }
}

function newDraft(name: string, path: string, { root, origin }: Pick<Draft, 'root' | 'origin'>): Draft {
  return { name, root, origin, path, leaf: false, explicit: false, children: new Map() };
}

/** The components of a cleaned target that appear in the tree. */
function namesOf(target: string): string[] {
  return target.split('/').filter((name) => name !== '' && name !== '.' && name !== '..');
}

/** The directory of a cleaned target's first name. */
function rootOf(target: string): string {
  if (target.startsWith('/')) return '/';
  const ups = target.split('/').filter((name) => name === '..');
  return ups.join('/') || '.';
}
