/**
 * The way through the tree: finds what is to be restored, makes directories, and puts the rest into windows. Nothing
 * is recursive, and what is kept is one list of nodes for each directory on the path.
 */
import { EngineError } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import { fitsSystem, isPlainName } from './names.ts';
import { WindowBuilder } from './plan.ts';
import type { Finish, Window } from './plan.ts';
import { breathe, rethrowFatal } from './run.ts';
import type { RestoreRun } from './run.ts';
import { planFile } from './sink-fs/existing.ts';
import { Folders } from './sink-fs/folders.ts';
import { FolderMaker } from './sink-fs/folder-maker.ts';
import type { FolderState } from './sink-fs/folder-maker.ts';
import { leanNode } from './sink-fs/lean-node.ts';

/** A directory on the way. */
export interface Frame {
  readonly parent: Frame | undefined;
  /** '' for the target, '/a/b' below it. */
  readonly folder: string;
  /** undefined for the target. */
  readonly node: Node | undefined;
  readonly selected: boolean;
  readonly nodes: readonly Node[];
  next: number;
  readonly names: Set<string>;
  /** Was anything at or below it selected? */
  restored: boolean;
  /** Its tree could be read: what it does not name may be deleted. */
  readonly complete: boolean;
  state: FolderState | undefined;
}

/** Nodes between two rests. */
const REST = 256;

export class Walker {
  readonly #run: RestoreRun;
  readonly #builder = new WindowBuilder();
  readonly #folders: Folders;
  readonly #maker: FolderMaker;
  /** Device and inode of files with several names → the first path. */
  readonly #links = new Map<string, { readonly folder: string; readonly name: string }>();
  #visited = 0;

  constructor(run: RestoreRun) {
    this.#run = run;
    this.#folders = new Folders(run.sink.target);
    this.#maker = new FolderMaker(run, this.#folders);
  }

  /** All windows, in order. Rejects if the tree `root` itself cannot be read. */
  async *windows(root: Id): AsyncGenerator<Window, void, undefined> {
    try {
      const nodes = await this.#run.indexed.loadTree(root, { signal: this.#run.signal });
      yield* this.#walk(newFrame(undefined, undefined, true, nodes, true));
      yield this.#builder.take();
    } finally {
      this.#folders.close();
    }
  }

  async *#walk(root: Frame): AsyncGenerator<Window, void, undefined> {
    for (let frame: Frame | undefined = root; frame !== undefined; ) {
      const node: Node | undefined = frame.nodes[frame.next++];
      if (node === undefined) {
        yield* this.#leave(frame);
        frame = frame.parent;
        continue;
      }
      if (++this.#visited % REST === 0) await breathe(this.#run);
      const path = `${frame.folder}/${node.name}`;
      if (!this.#acceptable(frame, node, path)) continue;
      const { selected, childMayBeSelected } = this.#run.selector.select(path);
      if (node.type === 'dir') {
        if (selected || childMayBeSelected) frame = await this.#enter(frame, node, path, selected, childMayBeSelected);
      } else if (selected) {
        yield* this.#visit(frame, node, path);
      }
    }
  }

  /** Says why, unless the node can be restored under its name. */
  #acceptable(frame: Frame, node: Node, path: string): boolean {
    const problem = this.#problemOf(frame, node, path);
    frame.names.add(node.name);
    if (problem !== undefined) {
      this.#run.deleting = false;
      this.#run.report.failed(path, problem);
      return false;
    }
    // Sockets belong to running programs.
    return node.type !== 'socket';
  }

  #problemOf(frame: Frame, node: Node, path: string): EngineError | undefined {
    const context = { path: path.toWellFormed() };
    if (!isPlainName(node.name)) return new EngineError('corrupt', 'not a name for an entry of a directory', context);
    if (frame.names.has(node.name))
      return new EngineError('corrupt', 'the name appears twice in its directory', context);
    if (!fitsSystem(this.#run.sink.target.path, path)) {
      return new EngineError('too-large', 'the path is longer than the system allows', { length: path.length });
    }
    return undefined;
  }

  async #enter(parent: Frame, node: Node, path: string, selected: boolean, look: boolean): Promise<Frame> {
    const { report, indexed, signal } = this.#run;
    let nodes: readonly Node[] = [];
    let complete = look;
    try {
      if (node.subtree === undefined) throw new EngineError('corrupt', 'a directory without a tree', {});
      if (look) nodes = await indexed.loadTree(node.subtree, { signal });
    } catch (error) {
      rethrowFatal(error);
      report.failed(path, error);
      complete = false;
    }
    const frame = newFrame(parent, node, selected, nodes, complete);
    if (selected) {
      report.expect(0);
      frame.restored = true;
      this.#ensure(frame);
    }
    return frame;
  }

  *#visit(frame: Frame, node: Node, path: string): Generator<Window> {
    frame.restored = true;
    const state = this.#ensure(frame);
    if (state === 'failed') return;
    const { report } = this.#run;
    if (node.type !== 'file') {
      report.expect(0);
      yield* this.#finish({ kind: 'special', folder: frame.folder, node });
      return;
    }
    const first = this.#firstName(frame.folder, node);
    if (first !== undefined) {
      report.expect(0);
      yield* this.#finish({ kind: 'link', folder: frame.folder, node, toFolder: first.folder, toName: first.name });
      return;
    }
    const file = planFile(this.#run, this.#folders, { folder: frame.folder, state, node, path });
    if (file !== undefined) yield* this.#builder.addFile(file);
  }

  /** The path that holds the content, if `node` is another name of a file met before. */
  #firstName(folder: string, node: Node): { readonly folder: string; readonly name: string } | undefined {
    if ((node.links ?? 0) <= 1) return undefined;
    const key = `${node.deviceId ?? 0}:${node.inode ?? 0}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, { folder, name: node.name });
    return first;
  }

  *#leave(frame: Frame): Generator<Window> {
    const { parent, node, folder } = frame;
    if (!frame.restored) return;
    if (parent !== undefined) parent.restored = true;
    if (frame.state === undefined || frame.state === 'failed') return;
    if (this.#run.deleting && frame.complete && frame.state === 'existing') {
      this.#builder.addCleanup({ folder, keep: frame.names });
    }
    if (parent !== undefined && node !== undefined) {
      yield* this.#finish({ kind: 'leave', folder: parent.folder, node });
    }
  }

  *#finish(finish: Finish): Generator<Window> {
    yield* this.#builder.addFinish({ ...finish, node: leanNode(finish.node, this.#run.sink.ownershipByName) });
  }

  /** Makes the directory and those above it, if they are not there; says so once when that fails. */
  #ensure(frame: Frame): FolderState {
    const missing: Frame[] = [];
    for (let at: Frame | undefined = frame; at !== undefined && at.state === undefined; at = at.parent)
      missing.push(at);
    for (const at of missing.reverse()) at.state = this.#maker.make(at.parent, at.node?.name);
    return frame.state ?? 'failed';
  }
}

function newFrame(
  parent: Frame | undefined,
  node: Node | undefined,
  selected: boolean,
  nodes: readonly Node[],
  complete: boolean,
): Frame {
  const folder = parent === undefined || node === undefined ? '' : `${parent.folder}/${node.name}`;
  return {
    parent,
    folder,
    node,
    selected,
    nodes,
    next: 0,
    names: new Set(),
    restored: false,
    complete,
    state: undefined,
  };
}
