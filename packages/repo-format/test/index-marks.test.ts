import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeIndex, encodeMarks } from '../src/index-file/index-file.ts';
import type { IndexMarks } from '../src/index-file/marks.ts';
import { BOXED, codeOf } from './errors-of.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What an index file says: packs and marks. */
function decode(json: Uint8Array): { packs: string[]; marks: IndexMarks[] } {
  const found = { packs: [] as string[], marks: [] as IndexMarks[] };
  decodeIndex(json, 2, {
    pack: (id) => void found.packs.push(id),
    blob: () => undefined,
    marks: (marks) => void found.marks.push(marks),
  });
  return found;
}

const PACK = 'aa'.repeat(32);
const BLOB = 'bb'.repeat(32);
const TIME = '2024-05-06T07:08:09.123456789+02:00';

const anyId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const anyUint32 = fc.nat({ max: 2 ** 32 - 1 });
const anyMarks: fc.Arbitrary<IndexMarks> = fc.record(
  {
    packs: fc.array(
      fc.record(
        {
          id: anyId,
          time: fc.constant(TIME),
          blobs: fc.array(
            fc.record({
              id: anyId,
              type: fc.constantFrom('data' as const, 'tree' as const),
              offset: anyUint32,
              length: fc.integer({ min: 32, max: 2 ** 32 - 1 }),
              uncompressedLength: anyUint32,
            }),
            { maxLength: 3 },
          ),
        },
        { requiredKeys: ['id', 'blobs'] },
      ),
      { maxLength: 4 },
    ),
    record: fc.record({
      time: fc.constant(TIME),
      holders: fc.array(
        fc.record(
          { hostname: fc.string({ unit: 'binary' }), username: fc.string(), pid: fc.nat(), run: fc.string() },
          { requiredKeys: ['hostname', 'username', 'pid'] },
        ),
        { maxLength: 3 },
      ),
      unsettled: fc.array(anyId, { maxLength: 3 }),
    }),
  },
  { requiredKeys: ['packs'] },
);

describe('index files with packs that wait for their deletion', () => {
  it('read back as written', () => {
    fc.assert(
      fc.property(anyMarks, (marks) => {
        expect(decode(encodeMarks(marks))).toEqual({ packs: [], marks: [marks] });
      }),
      BOXED,
    );
  });

  it('name nothing to those who do not ask for marks', () => {
    const json = encodeMarks({ packs: [{ id: PACK, blobs: [] }] });
    const told: string[] = [];
    decodeIndex(json, 2, { pack: (id) => void told.push(id), blob: () => void told.push('blob') });
    expect(told).toEqual([]);
  });

  it('are read as rustic writes them, beside other packs', () => {
    const blob = `{"id":"${BLOB}","type":"data","offset":0,"length":40}`;
    const json =
      `{"packs":[{"id":"${PACK}","blobs":[${blob}],"time":"${TIME}","size":100}],` +
      `"packs_to_delete":[{"id":"${BLOB}","blobs":[${blob}],"time":"${TIME}","size":100},{"id":"${PACK}","blobs":[]}]}`;
    const entry = { id: BLOB, type: 'data', offset: 0, length: 40, uncompressedLength: 0 };
    expect(decode(utf8(json))).toEqual({
      packs: [PACK],
      marks: [
        {
          packs: [
            { id: BLOB, time: TIME, blobs: [entry] },
            { id: PACK, blobs: [] },
          ],
        },
      ],
    });
    expect(decode(utf8('{"packs":[],"packs_to_delete":null}')).marks).toEqual([]);
  });

  it.each([
    '{"packs":[],"packs_to_delete":[{"id":"x","blobs":[]}]}',
    '{"packs":[],"packs_to_delete":[7]}',
    '{"packs":[],"packs_to_delete":{}}',
    '{"packs":[],"packs_to_delete":[],"prune":7}',
    '{"packs":[],"packs_to_delete":[],"prune":{"time":"soon"}}',
    `{"packs":[],"packs_to_delete":[],"prune":{"time":"${TIME}","holders":[{"pid":"x"}]}}`,
    `{"packs":[],"packs_to_delete":[],"prune":{"time":"${TIME}","unsettled":["x"]}}`,
  ])('are refused when they make no sense: %s', async (json) => {
    expect(await codeOf(() => decode(utf8(json)))).toBe('corrupt');
  });
});
