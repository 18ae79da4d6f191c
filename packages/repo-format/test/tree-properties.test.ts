import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../src/errors.ts';
import { formatTimestamp } from '../src/time/timestamp.ts';
import type { Node } from '../src/tree/node.ts';
import { compareNames, pathFromBytes } from '../src/tree/path-bytes.ts';
import { decodeTree, encodeTree, isStable } from '../src/tree/tree.ts';
import { COMPOSITE_TREE } from './fixtures/golden-trees.ts';

const box = { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false, numRuns: 600 };

const name = fc.oneof(
  fc.stringMatching(/^[\w.-]{1,12}$/),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.uint8Array({ minLength: 1, maxLength: 12 }).map(pathFromBytes),
);
const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const time = fc
  .tuple(
    fc.integer({ min: -62135500000, max: 253402200000 }),
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
    fc.integer({ min: -840, max: 840 }),
  )
  .map(([seconds, nanoseconds, minutes]) => formatTimestamp(seconds, nanoseconds, { offsetAt: () => minutes * 60 }));
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint64 = fc
  .oneof(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 2n ** 53n - 2n, max: 2n ** 53n + 2n }),
    fc.bigInt({ min: 1n, max: 9n }),
  )
  .map((value) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value));
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 });
/** JSON as Go passes it through: compact and escaped. */
const rawJson = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) =>
    JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  );
/** Keys that do not look like array indexes, which JavaScript moves to the front, nor like keys of a node. */
const extra = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 6 }).map((key) => `x-${key}`),
  rawJson,
  { minKeys: 1, maxKeys: 3, noNullPrototype: true },
);
const attribute = fc.record({ name: text, value: fc.option(fc.uint8Array({ maxLength: 9 }), { nil: null }) });

const node: fc.Arbitrary<Node> = fc.record(
  {
    name,
    type: fc.constantFrom('file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular'),
    mode: uint32,
    mtime: time,
    atime: time,
    ctime: time,
    uid: uint32,
    gid: uint32,
    content: fc.option(fc.array(id, { maxLength: 3 }), { nil: null }),
    user: text,
    group: text,
    inode: uint64,
    deviceId: uint64,
    size: uint64,
    links: uint64,
    linkTarget: name,
    extendedAttributes: fc.array(attribute, { minLength: 1, maxLength: 3 }),
    genericAttributes: extra,
    device: uint64,
    subtree: id,
    error: text,
    unknown: extra,
  },
  { requiredKeys: ['name', 'type', 'mode', 'mtime', 'atime', 'ctime', 'uid', 'gid', 'content'] },
);

const tree = fc
  .uniqueArray(node, { maxLength: 6, selector: (item) => item.name })
  .map((nodes) => nodes.sort((a, b) => compareNames(a.name, b.name)));

describe('trees', () => {
  it('survive writing and reading, and reading and writing', () => {
    fc.assert(
      fc.property(tree, (nodes) => {
        const bytes = encodeTree(nodes);
        const decoded = decodeTree(bytes);
        expect(decoded).toEqual(nodes);
        expect(Buffer.from(encodeTree(decoded)).equals(bytes)).toBe(true);
        expect(isStable(bytes, decoded)).toBe(true);
      }),
      box,
    );
  });

  it('are JSON whose names do not depend on this reader', () => {
    fc.assert(
      fc.property(tree, (nodes) => {
        const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(encodeTree(nodes))) as {
          nodes: { type: string; uid: number }[];
        };
        expect(value.nodes.map(({ type, uid }) => [type, uid])).toEqual(nodes.map(({ type, uid }) => [type, uid]));
      }),
      { ...box, numRuns: 200 },
    );
  });

  it('with flipped bits are read or refused with an error of the engine', () => {
    const bytes = new TextEncoder().encode(COMPOSITE_TREE.text);
    const flip = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 7 }));
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 4 }), (flips) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, bit] of flips) damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        readOrRefuse(damaged);
      }),
      { ...box, numRuns: 3000 },
    );
  });

  it('of any JSON are read or refused with an error of the engine', () => {
    const keys = [
      'name',
      'type',
      'mode',
      'mtime',
      'inode',
      'content',
      'extended_attributes',
      'generic_attributes',
      'x',
    ];
    const value = fc.jsonValue({ maxDepth: 2 });
    const almostNode = fc
      .dictionary(fc.constantFrom(...keys), value)
      .map((fields) => ({ name: 'a', type: 'file', ...fields }));
    fc.assert(
      fc.property(fc.array(almostNode, { maxLength: 3 }), (nodes) => {
        readOrRefuse(new TextEncoder().encode(JSON.stringify({ nodes })));
      }),
      box,
    );
  });
});

/** Reads a tree and, when that works, writes its nodes. Anything but a typed error fails the test. */
function readOrRefuse(bytes: Uint8Array): void {
  let nodes: readonly Node[];
  try {
    nodes = decodeTree(bytes);
  } catch (error) {
    expect(EngineError.is(error, 'corrupt') || EngineError.is(error, 'unsupported')).toBe(true);
    return;
  }
  expect(isStable(bytes, nodes)).toBeTypeOf('boolean');
}
