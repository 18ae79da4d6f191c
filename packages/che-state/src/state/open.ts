/** Opens the backup in a snapshot, whichever program made it. */
import { EngineError, findTree, readFile, walk } from 'restic-engine';
import type { IndexedRepository, Node, Repository, SnapshotEntry } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import { orderOf, SAVED_KINDS } from '../collect/table.ts';
import { fieldAt, isRecord, textAt } from '../objects/fields.ts';
import { CHE_CLUSTER_V1, CHE_CLUSTER_V2 } from '../objects/kinds.ts';
import { apiVersionOf } from '../objects/object.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { CHE_CLUSTER_PATH, databaseAt, INFO_PATH, refAt } from '../objects/path.ts';
import { normalize } from '../objects/strip.ts';
import { fromYaml, MAX_YAML_BYTES } from '../objects/yaml.ts';
import { entryOf, findState } from './find.ts';
import type { FindStateOptions } from './find.ts';
import { readInfo } from './read-info.ts';
import type { SavedDatabase, SavedObject, SavedState } from './state.ts';

/** More files than any installation has. */
const MAX_FILES = 1_000_000;
/** Where the old operator's files are, if not at the top. */
const OLD_FOLDER = '/tmp/che-backup-data';

/**
 * Opens a backup: `which` is `latest`, an id or the unique beginning of one, or a snapshot. Everything but contents has
 * been read then. Objects of the old operator come out like ours: with kind and namespace, without what is not saved.
 *
 * Rejects as {@link findState} does, with `corrupt` for what no backup of Che can be, `unsupported` for what a later
 * version may have written, and `too-large`. What is wrong with an object shows when it is read.
 */
export async function openState(
  repository: Repository,
  which: string | SnapshotEntry,
  options: FindStateOptions = {},
): Promise<SavedState> {
  const call = { signal: options.signal };
  const snapshot = typeof which === 'string' ? await findState(repository, which, options) : which;
  const indexed = await repository.loadIndex(call);
  const files = new StateFiles(indexed, await listFiles(indexed, await topOf(indexed, snapshot, call), call));
  const info = await readInfo(await files.text(INFO_PATH, call));
  const isOld = entryOf(snapshot)?.isOld ?? false;
  const { namespace } = info;

  const objects: SavedObject[] = [];
  const databases: SavedDatabase[] = [];
  for (const [path, node] of files.nodes) {
    const { content } = node;
    const size = Number(node.size ?? 0);
    const database = databaseAt(path);
    if (database !== undefined) databases.push({ name: database, path, size });
    else if (path !== INFO_PATH) {
      const isCheCluster = path === CHE_CLUSTER_PATH;
      const ref = isCheCluster
        ? cheClusterIn(await files.json(path, isOld, call), namespace)
        : refAt(path, namespace, SAVED_KINDS);
      objects.push({ ref, path, size, fingerprint: content?.join() ?? '' });
    }
  }
  if (!objects.some(({ path }) => path === CHE_CLUSTER_PATH)) throw missing(CHE_CLUSTER_PATH);
  const order = new Map(objects.map(({ ref, path }) => [path, orderOf(ref, namespace)]));
  return {
    snapshot,
    info,
    objects: objects.toSorted(
      (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || (a.path < b.path ? -1 : 1),
    ),
    databases,
    read: async ({ ref, path }, readCall = {}) => {
      const json = await files.json(path, isOld, readCall);
      return normalize(asObject(isOld ? withType(json, ref) : json, ref, path));
    },
    readDatabase: ({ path }, readCall = {}) => files.stream(path, readCall),
  };
}

/** The folder of the files. */
async function topOf(indexed: IndexedRepository, { tree }: SnapshotEntry, call: ClusterCall): Promise<string> {
  const nodes = await indexed.loadTree(tree, call);
  if (nodes.some(({ name }) => name === INFO_PATH || name === CHE_CLUSTER_PATH)) return tree;
  try {
    return await findTree(indexed, tree, OLD_FOLDER, call);
  } catch (error) {
    throw EngineError.is(error, 'not-found') ? missing(INFO_PATH) : error;
  }
}

const FOLDERS = /^\/(configmaps|secrets|db|objects(\/[^/]+){0,2})$/;

/** All files by their paths. Goes no deeper than a backup is, whatever the trees say. */
async function listFiles(indexed: IndexedRepository, tree: string, call: ClusterCall): Promise<Map<string, Node>> {
  const files = new Map<string, Node>();
  let entries = 0;
  for await (const { path, node } of walk(indexed, tree, { ...call, enter: (entry) => FOLDERS.test(entry.path) })) {
    if (++entries > MAX_FILES) throw new EngineError('too-large', 'a backup with so many files cannot be of Che');
    const inside = path.slice(1);
    const isKnown = node.type === 'file' || (node.type === 'dir' && FOLDERS.test(path));
    if (!isKnown || node.name.includes('/') || files.has(inside)) {
      throw new EngineError('corrupt', 'a backup of Che has no such entry', { path: inside.toWellFormed() });
    }
    if (node.type === 'file') files.set(inside, node);
  }
  return files;
}

/** Reads files. */
class StateFiles {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly #indexed: IndexedRepository;

  constructor(indexed: IndexedRepository, nodes: ReadonlyMap<string, Node>) {
    this.#indexed = indexed;
    this.nodes = nodes;
  }

  /** With short ones comes what lies near them, which is kept for a while: others follow, and they are read again. */
  stream(path: string, { signal }: ClusterCall, isShort = false): AsyncIterable<Uint8Array> {
    const node = this.nodes.get(path);
    if (node === undefined) throw missing(path);
    const indexed = this.#indexed;
    const near: Pick<IndexedRepository, 'plainLength' | 'loadBlob'> = {
      plainLength: (type, id) => indexed.plainLength(type, id),
      loadBlob: (type, id, call) => indexed.loadNear(type, id, call),
    };
    return readFile(isShort ? near : indexed, node, { signal });
  }

  async json(path: string, isOld: boolean, call: ClusterCall): Promise<unknown> {
    const text = await this.text(path, call);
    try {
      return await fromYaml(text, { version: isOld ? '1.1' : '1.2' });
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      throw new EngineError(error.code, `${error.message}: ${path}`, { path });
    }
  }

  async text(path: string, call: ClusterCall): Promise<string> {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    let text = '';
    let length = 0;
    for await (const piece of this.stream(path, call, true)) {
      length += piece.length;
      if (length > MAX_YAML_BYTES) throw new EngineError('too-large', `too much YAML for an object: ${path}`, { path });
      text += decoded(path, () => decoder.decode(piece, { stream: true }));
    }
    return text + decoded(path, () => decoder.decode());
  }
}

function decoded(path: string, decode: () => string): string {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new EngineError('corrupt', `no text: ${path}`, { path });
  }
}

function cheClusterIn(json: unknown, namespace: string): ObjectRef {
  const name = textAt(json, 'metadata', 'name');
  const apiVersion = textAt(json, 'apiVersion');
  const kind = [CHE_CLUSTER_V1, CHE_CLUSTER_V2].find((known) => apiVersionOf(known) === apiVersion);
  if (name === undefined || kind === undefined) throw notWhatItSays(CHE_CLUSTER_PATH);
  return { kind, namespace, name };
}

/** The old operator wrote what Go's typed clients gave it: most objects without apiVersion and kind. */
function withType(json: unknown, { kind, namespace }: ObjectRef): unknown {
  if (!isRecord(json)) return json;
  const metadata = fieldAt(json, 'metadata');
  return {
    ...json,
    apiVersion: json['apiVersion'] ?? apiVersionOf(kind),
    kind: json['kind'] ?? kind.kind,
    metadata: isRecord(metadata) ? { ...metadata, namespace } : metadata,
  };
}

/** Throws `corrupt` unless `json` is an object of the kind, namespace and name that its path says. */
function asObject(json: unknown, { kind, namespace, name }: ObjectRef, path: string): KubeObject {
  if (
    !isObject(json) ||
    json.apiVersion !== apiVersionOf(kind) ||
    json.kind !== kind.kind ||
    json.metadata.name !== name ||
    json.metadata.namespace !== namespace
  ) {
    throw notWhatItSays(path);
  }
  return json;
}

/** Are the parts there that `KubeObject` promises, each of its type? */
function isObject(json: unknown): json is KubeObject {
  const metadata = fieldAt(json, 'metadata');
  const owners = fieldAt(metadata, 'ownerReferences');
  return (
    isRecord(json) &&
    typeof textAt(metadata, 'name') === 'string' &&
    [fieldAt(metadata, 'labels'), fieldAt(metadata, 'annotations'), json['data']].every(isTexts) &&
    [json['spec'], json['status']].every((part) => part === undefined || isRecord(part)) &&
    (owners === undefined || (Array.isArray(owners) && owners.every((owner) => textAt(owner, 'name') !== undefined)))
  );
}

function isTexts(value: unknown): boolean {
  return value === undefined || (isRecord(value) && Object.values(value).every((text) => typeof text === 'string'));
}

function missing(path: string): EngineError {
  return new EngineError('corrupt', `the backup has no ${path}`, { path });
}

function notWhatItSays(path: string): EngineError {
  return new EngineError('corrupt', `the backup has something else at ${path} than its name says`, { path });
}
