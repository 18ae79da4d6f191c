/**
 * Stores objects as they arrive and their trees at the end. An object without a time of its own keeps the parent
 * snapshot's while its content is the same, so what has not changed has the same trees again.
 */
import { compareNames, EngineError, encodeTree, fileMode, throwIfAborted } from '@restic-engine/repo-format';
import type { Id, Node, Timestamp } from '@restic-engine/repo-format';
import { orAborted } from '@restic-engine/repository';
import type { IndexedRepository, Upload } from '@restic-engine/repository';
import type { ObjectEntry } from '../source/source.ts';
import type { StoredTree } from './archive-tree.ts';
import { asTimestamp } from './as-timestamp.ts';
import type { ContentStore } from './content-store.ts';
import { parentNodes } from './parent.ts';
import type { Tracker } from './progress.ts';
import type { StoredContent } from './store-tasks.ts';
import { untilAborted } from './until-aborted.ts';

/** Contents being stored at once; they are also limited by the bytes of the store. */
const MAX_UNDERWAY = 512;
const DIRECTORY_MODE = fileMode(0o040755).mode;
const FILE_TYPE = 0o100000;
const PERMISSIONS = 0o7777;

interface StoredObject {
  readonly entry: ObjectEntry;
  readonly content: StoredContent;
}

type Folder = Map<string, Folder | StoredObject>;

export class ObjectArchiver {
  readonly #indexed: IndexedRepository;
  readonly #upload: Upload;
  readonly #store: ContentStore;
  readonly #tracker: Tracker;
  readonly #time: Timestamp;
  readonly #root: Folder = new Map();
  readonly #claimed = new Set<string>();

  constructor(indexed: IndexedRepository, upload: Upload, store: ContentStore, tracker: Tracker, time: Timestamp) {
    this.#indexed = indexed;
    this.#upload = upload;
    this.#store = store;
    this.#tracker = tracker;
    this.#time = time;
  }

  async archive(
    entries: Iterable<ObjectEntry> | AsyncIterable<ObjectEntry>,
    parent: Id | undefined,
  ): Promise<StoredTree> {
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#upload.signal, failed.signal]);
    try {
      await this.#storeAll(entries, signal, (error) => failed.abort(error));
    } catch (error) {
      throw failed.signal.aborted ? failed.signal.reason : error;
    }
    return this.#storeFolder(this.#root, '', parent);
  }

  /** Stores contents until all are stored or `signal` fires, however long entries and contents let us wait. */
  async #storeAll(
    entries: Iterable<ObjectEntry> | AsyncIterable<ObjectEntry>,
    signal: AbortSignal,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const underway = new Set<Promise<void>>();
    for await (const entry of untilAborted(entries, signal)) {
      const names = components(entry.path);
      this.#claim(names);
      const stored: Promise<void> = this.#storeObject(entry, names)
        .catch(fail)
        .finally(() => underway.delete(stored));
      underway.add(stored);
      await orAborted(this.#store.room(), signal);
      if (underway.size >= MAX_UNDERWAY) {
        this.#store.flush();
        await orAborted(Promise.race(underway), signal);
      }
    }
    this.#store.flush();
    await orAborted(Promise.all(underway), signal);
    throwIfAborted(signal);
  }

  /** Refuses a path that is there already, as an object or as the folder of one. */
  #claim(names: readonly string[]): void {
    const path = names.join('/');
    if (this.#claimed.has(path)) throw new EngineError('bad-request', `two objects have the path ${path}`, { path });
    this.#claimed.add(path);
  }

  async #storeObject(entry: ObjectEntry, names: readonly string[]): Promise<void> {
    const { content } = entry;
    const path = `/${names.join('/')}`;
    this.#tracker.started(path);
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const stored = await this.#store.storeContent(bytes, (read) => this.#tracker.read(path, read));
    this.#tracker.stored(path, stored.size);
    place(this.#root, names, { entry: { ...entry, content: EMPTY }, content: stored });
  }

  async #storeFolder(folder: Folder, path: string, parent: Id | undefined): Promise<StoredTree> {
    const previous = new Map<string, Node>();
    for (const node of await parentNodes(this.#indexed, parent, this.#tracker, this.#upload.signal)) {
      previous.set(node.name, node);
    }
    const nodes: Node[] = [];
    for (const name of [...folder.keys()].toSorted(compareNames)) {
      const item = folder.get(name);
      if (item === undefined) continue;
      const known = previous.get(name);
      const place = `${path}/${name}`;
      nodes.push(
        item instanceof Map
          ? await this.#folderNode(item, name, place, known)
          : this.#fileNode(item, name, place, known),
      );
    }
    const bytes = encodeTree(nodes);
    const { id, isNew } = await this.#upload.save('tree', bytes);
    return { id, added: isNew ? bytes.length : 0, entries: nodes.length };
  }

  async #folderNode(folder: Folder, name: string, path: string, known: Node | undefined): Promise<Node> {
    const tree = await this.#storeFolder(folder, path, known?.subtree);
    const isSame = known?.subtree === tree.id;
    const time = isSame ? known.mtime : this.#time;
    const action = known === undefined ? 'new' : isSame ? 'unchanged' : 'changed';
    this.#tracker.done(path, 'dir', action, 0, { metadataSize: tree.added });
    return {
      name,
      type: 'dir',
      mode: DIRECTORY_MODE,
      ...this.#owner({}),
      ...allTimes(time),
      content: null,
      subtree: tree.id,
    };
  }

  #fileNode({ entry, content }: StoredObject, name: string, path: string, known: Node | undefined): Node {
    const isSame = known !== undefined && sameIds(known.content, content.ids);
    const time = entry.mtime === undefined ? (isSame ? known.mtime : this.#time) : this.#timestamp(entry.mtime);
    const action = known === undefined ? 'new' : isSame ? 'unchanged' : 'changed';
    const sizes = { dataSize: content.added, dataSizeInRepo: content.stored };
    this.#tracker.done(path, 'file', action, content.size, sizes);
    return {
      name,
      type: 'file',
      mode: fileMode(FILE_TYPE | ((entry.mode ?? 0o644) & PERMISSIONS)).mode,
      ...this.#owner(entry),
      ...allTimes(time),
      size: content.size,
      content: content.ids,
    };
  }

  #owner(entry: Pick<ObjectEntry, 'uid' | 'gid' | 'user' | 'group'>): Pick<Node, 'uid' | 'gid' | 'user' | 'group'> {
    const { platform } = this.#indexed.repository;
    return { uid: entry.uid ?? platform.uid, gid: entry.gid ?? platform.gid, user: entry.user, group: entry.group };
  }

  #timestamp(time: Date | Timestamp): Timestamp {
    return asTimestamp(time, this.#indexed.repository.platform);
  }
}

const EMPTY = new Uint8Array(0);

function allTimes(time: Timestamp): Pick<Node, 'mtime' | 'atime' | 'ctime'> {
  return { mtime: time, atime: time, ctime: time };
}

function sameIds(a: readonly Id[] | null, b: readonly Id[]): boolean {
  return a !== null && a.length === b.length && a.every((id, i) => id === b[i]);
}

/** NUL, and lone surrogates other than those that stand for bytes which are not UTF-8. */
const NOT_IN_A_NAME = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udc7f\udd00-\udfff]/;

function components(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  if (names.length === 0 || names.some((name) => name === '.' || name === '..' || NOT_IN_A_NAME.test(name))) {
    throw new EngineError('bad-request', `not a path for an object: ${JSON.stringify(path)}`, { path });
  }
  return names;
}

function place(root: Folder, names: readonly string[], object: StoredObject): void {
  let folder = root;
  for (const name of names.slice(0, -1)) {
    let inner = folder.get(name);
    if (inner === undefined) folder.set(name, (inner = new Map()));
    if (!(inner instanceof Map)) throw conflict(names);
    folder = inner;
  }
  const last = names.at(-1) ?? '';
  if (folder.has(last)) throw conflict(names);
  folder.set(last, object);
}

function conflict(names: readonly string[]): EngineError {
  const path = names.join('/');
  return new EngineError('bad-request', `${path} is both an object and the folder of one`, { path });
}
