/** Nodes from JSON. As in restic, an absent key or null is Go's zero value; a wrong type is an error. */
import { EngineError } from '../errors.ts';
import type { Id } from '../id.ts';
import { decodeBase64 } from '../json/base64.ts';
import {
  isRecord,
  optionalArray,
  optionalId,
  optionalText,
  requiredId,
  requiredText,
  wrongField,
} from '../json/fields.ts';
import { unquoteGo } from '../json/go-string.ts';
import { rawElements, rawMembers } from '../json/source.ts';
import { isPlainUint, mayHaveFractions, parseUint64 } from '../json/uint64.ts';
import { parseTimestamp } from '../time/timestamp.ts';
import type { ExtendedAttribute, Node, NodeType, Timestamp, Uint64 } from './node.ts';
import { pathFromBytes } from './path-bytes.ts';

const NODE_TYPES: ReadonlySet<string> = new Set<NodeType>([
  'file',
  'dir',
  'symlink',
  'dev',
  'chardev',
  'fifo',
  'socket',
  'irregular',
]);

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  'name',
  'type',
  'mode',
  'mtime',
  'atime',
  'ctime',
  'uid',
  'gid',
  'user',
  'group',
  'inode',
  'device_id',
  'size',
  'links',
  'linktarget',
  'linktarget_raw',
  'extended_attributes',
  'generic_attributes',
  'device',
  'content',
  'subtree',
  'error',
]);

const MAX_UINT32 = 2 ** 32 - 1;

/** Go's zero time. */
const NO_TIME: Timestamp = '0001-01-01T00:00:00Z';

/** The nodes of a tree as JSON text, for what `JSON.parse` does not keep. Taken apart only when that is needed. */
export class NodeSources {
  /** Must the text of every number be looked at? */
  readonly checkNumbers: boolean;
  readonly #tree: string;
  #nodes: readonly string[] | undefined;
  #index = -1;
  #members: ReadonlyMap<string, string> = new Map();

  /** @param tree the JSON text of a tree */
  constructor(tree: string) {
    this.#tree = tree;
    this.checkNumbers = mayHaveFractions(tree);
  }

  /** key → JSON text of the value, for the node at `index`. */
  members(index: number): ReadonlyMap<string, string> {
    if (index !== this.#index) {
      this.#nodes ??= rawElements(rawMembers(this.#tree).get('nodes') ?? '');
      this.#members = rawMembers(this.#nodes[index] ?? '');
      this.#index = index;
    }
    return this.#members;
  }
}

/** Maps one parsed node. Throws `corrupt`, or `unsupported` for a type of node that restic does not know. */
export function decodeNode(value: unknown, index: number, sources: NodeSources): Node {
  if (!isRecord(value)) throw new EngineError('corrupt', 'a node is not an object');
  const uint = (field: unknown, key: string): Uint64 | undefined =>
    isPlainUint(field) && !sources.checkNumbers ? field : readUint(field, key, index, sources);
  const mtime = readTime(value.mtime, 'mtime');
  return {
    name: unquoteGo(requiredText(value.name, 'name')),
    type: readType(value.type),
    mode: uint32(uint(value.mode, 'mode'), 'mode'),
    mtime,
    atime: value.atime === mtime ? mtime : readTime(value.atime, 'atime'),
    ctime: readTime(value.ctime, 'ctime'),
    uid: uint32(uint(value.uid, 'uid'), 'uid'),
    gid: uint32(uint(value.gid, 'gid'), 'gid'),
    user: optionalText(value.user, 'user'),
    group: optionalText(value.group, 'group'),
    inode: uint(value.inode, 'inode'),
    deviceId: uint(value.device_id, 'device_id'),
    size: uint(value.size, 'size'),
    links: uint(value.links, 'links'),
    linkTarget: readLinkTarget(value),
    extendedAttributes: optionalArray(value.extended_attributes, 'extended_attributes')?.map(readExtendedAttribute),
    genericAttributes: readGenericAttributes(value.generic_attributes, index, sources),
    device: uint(value.device, 'device'),
    content: readContent(value.content),
    subtree: optionalId(value.subtree, 'subtree'),
    error: optionalText(value.error, 'error'),
    unknown: readUnknown(value, index, sources),
  };
}

function readUint(value: unknown, key: string, index: number, sources: NodeSources): Uint64 | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw wrongField(key, 'a number');
  return parseUint64(sources.members(index).get(key) ?? '');
}

function uint32(value: Uint64 | undefined, key: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'bigint' || value > MAX_UINT32) throw wrongField(key, 'an unsigned 32-bit integer');
  return value;
}

function isNodeType(value: string): value is NodeType {
  return NODE_TYPES.has(value);
}

function readType(value: unknown): NodeType {
  const type = requiredText(value, 'type');
  if (!isNodeType(type)) throw new EngineError('unsupported', 'an unknown type of node', { type: type.slice(0, 40) });
  return type;
}

function readTime(value: unknown, key: string): Timestamp {
  if (value === undefined || value === null) return NO_TIME;
  const time = requiredText(value, key);
  parseTimestamp(time);
  return time;
}

function readContent(value: unknown): readonly Id[] | null {
  return optionalArray(value, 'content')?.map((id) => requiredId(id, 'content')) ?? null;
}

function readLinkTarget(value: Readonly<Record<string, unknown>>): string | undefined {
  const raw = optionalText(value.linktarget_raw, 'linktarget_raw');
  const target = optionalText(value.linktarget, 'linktarget');
  return raw === undefined ? target : pathFromBytes(decodeBase64(raw));
}

function readExtendedAttribute(item: unknown): ExtendedAttribute {
  if (!isRecord(item)) throw wrongField('extended_attributes', 'an array of objects');
  const value = optionalText(item.value, 'extended_attributes');
  return {
    name: optionalText(item.name, 'extended_attributes') ?? '',
    value: value === undefined ? null : decodeBase64(value),
  };
}

function readGenericAttributes(value: unknown, index: number, sources: NodeSources): Node['genericAttributes'] {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) throw wrongField('generic_attributes', 'an object');
  return Object.fromEntries(rawMembers(sources.members(index).get('generic_attributes') ?? ''));
}

function readUnknown(value: Readonly<Record<string, unknown>>, index: number, sources: NodeSources): Node['unknown'] {
  let unknown: [string, string][] | undefined;
  for (const key of Object.keys(value)) {
    if (KNOWN_KEYS.has(key)) continue;
    unknown ??= [];
    unknown.push([key, sources.members(index).get(key) ?? 'null']);
  }
  return unknown && Object.fromEntries(unknown);
}
