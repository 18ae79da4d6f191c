import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeIndex, encodeIndex } from '../src/index-file/index-file.ts';
import { scanIndex } from '../src/index-file/scan.ts';
import type { PackEntry } from '../src/pack/entry.ts';
import { BOXED, codeOf } from './errors-of.ts';

interface IndexedPack {
  readonly id: string;
  readonly blobs: PackEntry[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function decode(json: Uint8Array, version: 1 | 2 = 2): IndexedPack[] {
  const packs: IndexedPack[] = [];
  decodeIndex(json, version, {
    pack: (id) => packs.push({ id, blobs: [] }),
    blob(type, id, offset, length, uncompressedLength) {
      packs.at(-1)!.blobs.push({ id, type, offset, length, uncompressedLength });
    },
  });
  return packs;
}

const anyId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const anyUint32 = fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 2 ** 32 - 1 }));
const anyEntry: fc.Arbitrary<PackEntry> = fc.record({
  id: anyId,
  type: fc.constantFrom('data' as const, 'tree' as const),
  offset: anyUint32,
  length: fc.integer({ min: 32, max: 2 ** 32 - 1 }),
  uncompressedLength: anyUint32,
});
const anyPacks: fc.Arbitrary<IndexedPack[]> = fc.array(
  fc.record({ id: anyId, blobs: fc.array(anyEntry, { maxLength: 6 }) }),
  { maxLength: 5 },
);

const PACK = 'aa'.repeat(32);
const BLOB = 'bb'.repeat(32);
const FILE =
  `{"packs":[{"id":"${PACK}","blobs":[{"id":"${BLOB}","type":"data","offset":0,"length":38,"uncompressed_length":6},` +
  `{"id":"${PACK}","type":"tree","offset":38,"length":133}]}]}\n`;
const CONTENT: IndexedPack[] = [
  {
    id: PACK,
    blobs: [
      { id: BLOB, type: 'data', offset: 0, length: 38, uncompressedLength: 6 },
      { id: PACK, type: 'tree', offset: 38, length: 133, uncompressedLength: 0 },
    ],
  },
];

describe('index files', () => {
  it('are written as restic writes them', () => {
    expect(text(encodeIndex(CONTENT))).toBe(FILE);
    expect(text(encodeIndex([]))).toBe('{"packs":[]}\n');
  });

  it('read back as written, through the scanner', () => {
    fc.assert(
      fc.property(anyPacks, (packs) => {
        const json = encodeIndex(packs);
        expect(scanIndex(json)).toBeDefined();
        expect(decode(json)).toEqual(packs);
      }),
      BOXED,
    );
  });

  it('read the same in any other shape of JSON', () => {
    fc.assert(
      fc.property(anyPacks, fc.constantFrom(1, '\t'), (packs, indent) => {
        const value: unknown = JSON.parse(text(encodeIndex(packs)));
        const json = utf8(JSON.stringify(value, null, indent));
        expect(scanIndex(json)).toBeUndefined();
        expect(decode(json)).toEqual(packs);
      }),
      BOXED,
    );
  });

  it.each([
    ['no newline', FILE.trimEnd()],
    ['what an index supersedes', FILE.replace('{', `{"supersedes":["${BLOB}"],`)],
    [
      'unknown keys',
      FILE.replace('{"id"', '{"time":"now","size":5,"id"').replace('\n', '').replace(/}$/, ',"packs_to_delete":[]}'),
    ],
    ['another order of keys', FILE.replace('"offset":0,"length":38', '"length":38,"offset":0')],
    ['upper-case digits', FILE.replaceAll('aa', 'AA')],
    ['a raw blob that says so', FILE.replace('133}', '133,"uncompressed_length":0}')],
  ])('are read with %s', (_, json) => {
    expect(decode(utf8(json))).toEqual(CONTENT);
  });

  it.each([['{}'], ['{"packs":null}'], ['{"packs":[]}'], ['{"packs":[]}\n']])('may be empty: %s', (json) => {
    expect(decode(utf8(json))).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['a string', '"packs"'],
    ['something after it', `${FILE}x`],
    ['packs that are no list', '{"packs":{}}'],
    ['a pack that is no object', '{"packs":[5]}'],
    ['a short id', FILE.replace(BLOB, BLOB.slice(1))],
    ['an id that is not hex', FILE.replace(BLOB, BLOB.replace('b', 'g'))],
    ['no id', FILE.replace(`"id":"${BLOB}",`, '')],
    ['an unknown type', FILE.replace('"data"', '"date"')],
    ['a negative offset', FILE.replace('"offset":0', '"offset":-1')],
    ['half a length', FILE.replace('38,', '38.5,')],
    ['an offset of 4 GiB', FILE.replace('"offset":0', '"offset":4294967296')],
    ['a length of 4 GiB', FILE.replace('"length":38', '"length":4294967296')],
    ['a blob shorter than its seal', FILE.replace('"length":38', '"length":31')],
    ['a plain length of 4 GiB', FILE.replace('_length":6', '_length":4294967296')],
    ['a number with a leading zero', FILE.replace('"length":38', '"length":038')],
  ])('are refused with %s', async (_, json) => {
    let calls = 0;
    const sink = { pack: () => void calls++, blob: () => void calls++ };
    expect(await codeOf(() => decodeIndex(utf8(json), 2, sink))).toBe('corrupt');
    expect(calls, 'a refused file must leave the sink alone').toBe(0);
  });

  it('are refused in the format of restic 0.1', async () => {
    expect(await codeOf(() => decode(utf8('[{"id":"x","blobs":[]}]')))).toBe('unsupported');
  });

  it('name no compressed blobs in repositories of version 1', async () => {
    const spaced = utf8(FILE.replace('{', '{ '));
    for (const json of [utf8(FILE), spaced]) expect(await codeOf(() => decode(json, 1))).toBe('corrupt');
    const raw = FILE.replace(',"uncompressed_length":6', '');
    for (const json of [utf8(raw), utf8(` ${raw}`)]) expect(decode(json, 1)[0]?.blobs[0]?.uncompressedLength).toBe(0);
  });

  it('are read or refused with engine errors after any change of a byte', async () => {
    const bytes = utf8(FILE);
    for (let at = 0; at < bytes.length; at++) {
      expect(await codeOf(() => decode(bytes.subarray(0, at)))).toBe(at < bytes.length - 1 ? 'corrupt' : undefined);
      for (const mask of [0x01, 0x20, 0x80]) {
        const bad = bytes.slice();
        bad[at]! ^= mask;
        expect([undefined, 'corrupt']).toContain(await codeOf(() => decode(bad)));
      }
    }
  });
});
