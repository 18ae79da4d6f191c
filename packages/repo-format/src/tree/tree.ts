/** Trees: the entries of one directory, stored as a blob of JSON (restic design document, "Trees and Data"). */
import { EngineError } from '../errors.ts';
import { isRecord } from '../json/fields.ts';
import { GO_1_21, type GoProfile } from '../json/go-string.ts';
import { parseJson } from '../json/source.ts';
import { decodeNode, NodeSources } from './decode-node.ts';
import { encodeNode } from './encode-node.ts';
import type { Node } from './node.ts';
import { compareNames } from './path-bytes.ts';

export interface DecodeTreeOptions {
  /** Takes the name and type of a node that restic does not know, which is left out then. @default such a tree throws */
  readonly onUnknownType?: ((name: string, type: string) => void) | undefined;
}

/**
 * The nodes of a tree, in the order of the blob. `bytes` stays the caller's. Names are not judged: they may be empty,
 * repeated, out of order or contain `/`. Keys beside `nodes` are ignored.
 *
 * Throws `corrupt` for anything but a tree, `unsupported` for a type of node that restic does not know, and `too-large`
 * for more than 512 MiB.
 */
export function decodeTree(bytes: Uint8Array, { onUnknownType }: DecodeTreeOptions = {}): Node[] {
  const { text, value } = parseJson(bytes);
  const items: unknown = isRecord(value) ? value.nodes : undefined;
  if (!Array.isArray(items)) throw new EngineError('corrupt', 'a tree without an array of nodes');
  const sources = new NodeSources(text);
  const nodes: Node[] = [];
  for (const [index, item] of items.entries()) {
    try {
      nodes.push(decodeNode(item, index, sources));
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      if (error.code !== 'unsupported' || onUnknownType === undefined) throw atNode(error, index);
      onUnknownType(String(isRecord(item) && item.name), String(error.context['type']));
    }
  }
  return nodes;
}

function atNode(error: EngineError, index: number): EngineError {
  return new EngineError(error.code, error.message, { ...error.context, node: index }, { cause: error });
}

/**
 * The blob of a tree; the caller owns it. Throws `bad-request` unless the names are strictly ascending by their bytes,
 * which restic requires, and `RangeError` when a number is not an unsigned 64-bit integer.
 */
export function encodeTree(nodes: Iterable<Node>, profile: GoProfile = GO_1_21): Uint8Array<ArrayBuffer> {
  return joinTree(encodeInOrder(nodes, profile));
}

function* encodeInOrder(nodes: Iterable<Node>, profile: GoProfile): Generator<string> {
  let previous: string | undefined;
  for (const node of nodes) {
    if (previous !== undefined && compareNames(previous, node.name) >= 0) {
      throw new EngineError('bad-request', 'the names of a tree are not in strictly ascending order', {
        name: node.name.toWellFormed(),
        after: previous.toWellFormed(),
      });
    }
    previous = node.name;
    yield encodeNode(node, profile);
  }
}

/** Characters to collect before they are turned into bytes: a tree may be longer than a string can be. */
const PIECE_LENGTH = 1 << 20;

/** The blob of a tree from what `encodeNode` returned for its nodes, in ascending order. The caller owns it. */
export function joinTree(encodedNodes: Iterable<string>): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let piece = '{"nodes":[';
  let separator = '';
  for (const node of encodedNodes) {
    piece += separator + node;
    separator = ',';
    if (piece.length < PIECE_LENGTH) continue;
    pieces.push(encoder.encode(piece));
    piece = '';
  }
  // The line feed belongs to the tree and to its hash.
  const last = encoder.encode(`${piece}]}\n`);
  return pieces.length === 0 ? last : concat([...pieces, last]);
}

function concat(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}

/**
 * Do `nodes`, decoded from `bytes`, encode to the same bytes again? Not where restic wrote U+FFFD for bytes that
 * are not UTF-8 (names of extended attributes, and link targets before 0.16), nor for the JSON of other programs. Such
 * trees must be copied as they are, never rewritten.
 */
export function isStable(bytes: Uint8Array, nodes: readonly Node[], profile: GoProfile = GO_1_21): boolean {
  const again = joinTree(nodes.map((node) => encodeNode(node, profile)));
  if (again.length !== bytes.length) return false;
  // A loop, since `every` takes as long as encoding.
  for (let at = 0; at < again.length; at++) {
    if (again[at] !== bytes[at]) return false;
  }
  return true;
}
