import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { GO_1_19 } from '../src/json/go-string.ts';
import { encodeNode } from '../src/tree/encode-node.ts';
import type { Node } from '../src/tree/node.ts';
import { decodeTree, encodeTree, isStable, joinTree } from '../src/tree/tree.ts';
import { COMPOSITE_TREE, EMPTY_TREE, SMALL_REPO_TREE, STICKY_TREE } from './fixtures/golden-trees.ts';

const TIME = '2026-11-22T13:09:37.090877775+01:00';
const ID = 'ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8';

const FILE: Node = {
  name: 'file',
  type: 'file',
  mode: 420,
  mtime: TIME,
  atime: TIME,
  ctime: TIME,
  uid: 0,
  gid: 0,
  content: [],
};

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A tree with one node: the members of a small file, then `members`, of which the last of equal keys counts. */
function treeWith(members: string): Uint8Array {
  const times = `"mtime":"${TIME}","atime":"${TIME}","ctime":"${TIME}"`;
  return bytesOf(`{"nodes":[{"name":"a","type":"file",${times},"uid":1,"gid":2,"content":[],${members}}]}\n`);
}

function onlyNode(bytes: Uint8Array): Node {
  const [node] = decodeTree(bytes);
  if (node === undefined) throw new Error('no node');
  return node;
}

function failure(code: string): unknown {
  return expect.objectContaining({ name: 'EngineError', code });
}

describe('trees written by restic', () => {
  it.each([
    ['empty', EMPTY_TREE],
    ['sticky', STICKY_TREE],
    ['of the small-repo fixture', SMALL_REPO_TREE],
    ['of pathological names, by 0.19.1', COMPOSITE_TREE],
  ])('%s: come out of reading and writing with the same id', (_name, { id, text }) => {
    const bytes = bytesOf(text);
    const nodes = decodeTree(bytes);
    const again = encodeTree(nodes);
    expect(new TextDecoder().decode(again)).toBe(text);
    expect(createHash('sha256').update(again).digest('hex')).toBe(id);
    expect(isStable(bytes, nodes)).toBe(true);
  });

  it('give names and link targets with their bytes', () => {
    expect(bytesOf(COMPOSITE_TREE.text)).toHaveLength(2818);
    const nodes = decodeTree(bytesOf(COMPOSITE_TREE.text));
    expect(nodes.map(({ name }) => name)).toEqual([
      'a<b>&"c\\d',
      'bs\bff\fesc\x1b',
      'empty',
      'inv\udcff<>',
      'l1',
      'l2',
      'nbsp\u00a0shy\u00adzwj\u200d',
      'tab\tnl\nbell\x07',
      '\udcff\udcfelatin\udce4',
    ]);
    expect(nodes[4]).toMatchObject({ linkTarget: 'bs\bff\fesc\x1b', content: null, mode: 134218239, links: 1 });
    expect(nodes[5]).toMatchObject({ linkTarget: 'inv\udcff<>', mtime: '2021-07-01T01:00:00+01:00' });
    expect(nodes[2]).toMatchObject({ mode: 0, content: [], size: undefined });
  });
});

describe('writing nodes', () => {
  it('leaves zero and empty values out, but for uid, gid and content', () => {
    const times = `"mtime":"${TIME}","atime":"${TIME}","ctime":"${TIME}"`;
    const empty = {
      inode: 0,
      deviceId: 0,
      size: 0,
      links: 0,
      device: 0,
      user: '',
      group: '',
      error: '',
      linkTarget: '',
    };
    expect(encodeNode({ ...FILE, ...empty, mode: 0, extendedAttributes: [], genericAttributes: {}, unknown: {} })).toBe(
      `{"name":"file","type":"file",${times},"uid":0,"gid":0,"content":[]}`,
    );
  });

  it('keeps the order of keys', () => {
    const node: Node = {
      ...FILE,
      type: 'irregular',
      user: 'ü<',
      group: 'g',
      inode: 18446744073709551615n,
      deviceId: 9223372036854775808n,
      size: 9007199254740993n,
      links: 2,
      linkTarget: 'x\udcff',
      extendedAttributes: [
        { name: 'user.<x>', value: bytesOf('abc') },
        { name: 'empty', value: new Uint8Array() },
        { name: 'none', value: null },
      ],
      genericAttributes: { 'windows.file_attributes': '32', 'windows.creation_time': '{ "LowDateTime" : 1 }' },
      device: 259,
      content: [ID, ID],
      subtree: ID,
      error: 'e',
      unknown: { label: '"<"' },
    };
    expect(encodeNode(node)).toBe(
      `{"name":"file","type":"irregular","mode":420,"mtime":"${TIME}","atime":"${TIME}","ctime":"${TIME}",` +
        String.raw`"uid":0,"gid":0,"user":"ü\u003c","group":"g","inode":18446744073709551615,` +
        String.raw`"device_id":9223372036854775808,"size":9007199254740993,"links":2,"linktarget":"x\ufffd",` +
        String.raw`"linktarget_raw":"eP8=","extended_attributes":[{"name":"user.\u003cx\u003e","value":"YWJj"},` +
        '{"name":"empty","value":""},{"name":"none","value":null}],"generic_attributes":' +
        '{"windows.creation_time":{"LowDateTime":1},"windows.file_attributes":32},"device":259,' +
        String.raw`"content":["${ID}","${ID}"],"subtree":"${ID}","error":"e","label":"\u003c"}`,
    );
    expect(onlyNode(encodeTree([node]))).toEqual({
      ...node,
      genericAttributes: { 'windows.file_attributes': '32', 'windows.creation_time': '{"LowDateTime":1}' },
      unknown: { label: String.raw`"\u003c"` },
    });
  });

  it('follows the profile', () => {
    expect(encodeNode({ ...FILE, name: '\u088e', user: '\b' }, GO_1_19)).toContain(
      String.raw`{"name":"\\u088e","type":"file"`,
    );
    expect(encodeNode({ ...FILE, user: '\b' }, GO_1_19)).toContain(String.raw`"user":"\u0008"`);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 60])('refuses %s as a number', (size) => {
    expect(() => encodeNode({ ...FILE, size })).toThrow(RangeError);
  });
});

describe('writing trees', () => {
  it('refuses repeated and unordered names', () => {
    const named = (names: string[]): Node[] => names.map((name) => ({ ...FILE, name }));
    expect(() => encodeTree(named(['a', 'a']))).toThrow(failure('bad-request'));
    expect(() => encodeTree(named(['b', 'a']))).toThrow(failure('bad-request'));
    expect(() => encodeTree(named(['\u{10000}', '\uff01']))).toThrow(failure('bad-request'));
    expect(encodeTree(named(['A', 'a', '\uff01', '\u{10000}', '\udcff']))).toBeInstanceOf(Uint8Array);
  });

  it('joins nodes that are encoded already, of any total length', () => {
    const nodes = Array.from({ length: 9000 }, (_, index) => ({
      ...FILE,
      name: `file-${String(index).padStart(5, '0')}`,
    }));
    const encoded = nodes.map((node) => encodeNode(node));
    const tree = joinTree(encoded);
    expect(tree.length).toBeGreaterThan(2 ** 20);
    expect(new TextDecoder().decode(tree)).toBe(`{"nodes":[${encoded.join(',')}]}\n`);
    expect(decodeTree(tree)).toHaveLength(nodes.length);
  });
});

describe('trees that cannot be written again as they were', () => {
  it('are noticed when bytes of a link target are lost', () => {
    const bytes = treeWith(String.raw`"linktarget":"lost\ufffd"`);
    expect(isStable(bytes, decodeTree(bytes))).toBe(false);
    expect(onlyNode(bytes).linkTarget).toBe('lost\ufffd');
  });

  it.each(['{"nodes":[]}', '{"nodes": []}\n', '{"x":1,"nodes":[]}\n'])('are noticed: %j', (text) => {
    expect(isStable(bytesOf(text), decodeTree(bytesOf(text)))).toBe(false);
  });
});

describe('reading trees', () => {
  it('ignores keys beside the nodes', () => {
    expect(decodeTree(bytesOf('{"before":[{}],"nodes":[],"after":{"nodes":1}}'))).toEqual([]);
  });

  it('takes absent keys and null for zero values', () => {
    expect(onlyNode(bytesOf('{"nodes":[{"name":"","type":"dir","mode":null,"user":null,"content":null}]}'))).toEqual({
      ...FILE,
      name: '',
      type: 'dir',
      mode: 0,
      mtime: '0001-01-01T00:00:00Z',
      atime: '0001-01-01T00:00:00Z',
      ctime: '0001-01-01T00:00:00Z',
      content: null,
    });
  });

  it('keeps exact integers whatever else is in the tree', () => {
    const big = '"inode":18446744073709551615,"size":9007199254740993,"device_id":12';
    for (const other of ['"x":0', '"x":1.5', '"x":[1e3]', '"x":"1.5,"']) {
      expect(onlyNode(treeWith(`${big},${other}`))).toMatchObject({
        inode: 18446744073709551615n,
        size: 9007199254740993n,
        deviceId: 12,
      });
    }
  });

  it('keeps unknown keys as they were written', () => {
    const node = onlyNode(treeWith('"future":{"b" : 1.0, "a":[18446744073709551616]},"__proto__":{"x":1},"mode":7'));
    expect(Object.entries(node.unknown ?? {})).toEqual([
      ['future', '{"b" : 1.0, "a":[18446744073709551616]}'],
      ['__proto__', '{"x":1}'],
    ]);
    expect(node.mode).toBe(7);
    expect(encodeNode(node)).toContain(
      '"content":[],"future":{"b":1.0,"a":[18446744073709551616]},"__proto__":{"x":1}}',
    );
  });

  it('lowers the case of ids, as restic does', () => {
    expect(onlyNode(treeWith(`"content":["${ID.toUpperCase()}"]`)).content).toEqual([ID]);
  });

  it.each([
    ['', 'corrupt'],
    ['[]', 'corrupt'],
    ['null', 'corrupt'],
    ['{}', 'corrupt'],
    ['{"nodes":null}', 'corrupt'],
    ['{"nodes":{}}', 'corrupt'],
    ['{"nodes":[null]}', 'corrupt'],
    ['{"nodes":[[]]}', 'corrupt'],
    ['{"nodes":["a"]}', 'corrupt'],
    ['{"nodes":[{}]}', 'corrupt'],
    ['{"nodes":[{"name":"a"}]}', 'corrupt'],
    ['{"nodes":[{"type":"file"}]}', 'corrupt'],
    ['{"nodes":[]}x', 'corrupt'],
  ])('refuses %j', (text, code) => {
    expect(() => decodeTree(bytesOf(text))).toThrow(failure(code));
  });

  it.each([
    ['"name":1'],
    ['"name":null'],
    ['"name":"a\\\\q"'],
    ['"name":"\\""'],
    ['"type":null'],
    ['"type":7'],
    ['"mode":4294967296'],
    ['"mode":-1'],
    ['"mode":"420"'],
    ['"uid":4294967296'],
    ['"uid":1e3'],
    ['"gid":-0'],
    ['"size":1.0'],
    ['"size":1.5'],
    ['"size":-1'],
    ['"size":1e400'],
    ['"size":18446744073709551616'],
    ['"inode":[]'],
    ['"links":true'],
    ['"device":{}'],
    ['"mtime":1'],
    ['"mtime":"yesterday"'],
    ['"ctime":"2026-02-30T00:00:00Z"'],
    ['"content":{}'],
    ['"content":"x"'],
    ['"content":[null]'],
    ['"content":["abc"]'],
    [`"content":["${ID}0"]`],
    ['"subtree":""'],
    ['"subtree":5'],
    ['"user":5'],
    ['"linktarget":[]'],
    ['"linktarget_raw":"*"'],
    ['"extended_attributes":{}'],
    ['"extended_attributes":[1]'],
    ['"extended_attributes":[{"name":1}]'],
    ['"extended_attributes":[{"name":"a","value":"="}]'],
    ['"generic_attributes":[]'],
    ['"error":{}'],
  ])('refuses a node with %s and says which', (members) => {
    const refused = expect.objectContaining({
      name: 'EngineError',
      code: 'corrupt',
      context: expect.objectContaining({ node: 0 }),
    });
    expect(() => decodeTree(treeWith(members))).toThrow(refused);
  });

  it('calls a new type of node unsupported', () => {
    expect(() => decodeTree(treeWith('"type":"whiteout"'))).toThrow(failure('unsupported'));
  });

  it('survives hostile sizes', () => {
    const deep = '['.repeat(2_000_000) + ']'.repeat(2_000_000);
    expect(() => decodeTree(bytesOf(`{"nodes":${deep}}`))).toThrow(failure('corrupt'));
    expect(onlyNode(treeWith(`"x":${deep}`)).unknown?.x).toHaveLength(deep.length);
    expect(() => decodeTree(bytesOf('{"nodes":['.repeat(200_000)))).toThrow(failure('corrupt'));
    const long = 'n'.repeat(8_000_000);
    expect(onlyNode(treeWith(`"name":"${long}"`)).name).toBe(long);
    const quoted = '\\\\xff'.repeat(300_000);
    expect(onlyNode(treeWith(`"name":"${quoted}"`)).name).toHaveLength(300_000);
    expect(() => decodeTree(treeWith(`"size":${'9'.repeat(1_000_000)}`))).toThrow(failure('corrupt'));
  });
});
