import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteRange } from '../src/backend.ts';
import { generateMasterKey } from '../src/crypto/master-key.ts';
import { createSealer, type Sealer } from '../src/crypto/seal.ts';
import { MAX_HEADER_ENTRIES, packFileSize, plainLengthOf, type PackEntry } from '../src/pack/entry.ts';
import { encodePackHeader, readPackHeader } from '../src/pack/header.ts';
import { BOXED, codeOf, hex } from './errors-of.ts';

const sealer = createSealer(generateMasterKey());
const ID = 'ab'.repeat(32);

function layOut(blobs: readonly Omit<PackEntry, 'offset'>[]): PackEntry[] {
  let offset = 0;
  return blobs.map((blob) => {
    const entry = { ...blob, offset };
    offset += blob.length;
    return entry;
  });
}

const anyBlob: fc.Arbitrary<Omit<PackEntry, 'offset'>> = fc.record({
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  type: fc.constantFrom('data' as const, 'tree' as const),
  length: fc.integer({ min: 33, max: 2 ** 32 - 1 }),
  uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
});

/** A pack that consists of its tail; the blobs before it are not there to be read. */
function packOf(
  tail: Uint8Array,
  size: number,
): { requests: ByteRange[]; read: (range: ByteRange) => Promise<Uint8Array> } {
  const requests: ByteRange[] = [];
  return {
    requests,
    read: async (range) => {
      requests.push(range);
      const bytes = new Uint8Array(range.length);
      const from = range.offset - (size - tail.length);
      bytes.set(
        from < 0 ? tail.subarray(0, range.length + from) : tail.subarray(from, from + range.length),
        Math.max(0, -from),
      );
      return bytes;
    },
  };
}

/** A pack of 100 made-up bytes before a header that is sealed as it stands. */
function packWith(header: Uint8Array, by: Sealer = sealer, lie = 0): Uint8Array {
  const sealed = by.seal(header);
  const pack = new Uint8Array(100 + sealed.length + 4);
  pack.set(sealed, 100);
  new DataView(pack.buffer).setUint32(100 + sealed.length, sealed.length + lie, true);
  return pack;
}

const read = (pack: Uint8Array, version: 1 | 2 = 2): Promise<PackEntry[]> =>
  readPackHeader(async ({ offset, length }) => pack.subarray(offset, offset + length), pack.length, sealer, version);

describe('pack headers', () => {
  it('have the bytes that the design document gives them', () => {
    const tail = encodePackHeader(
      layOut([
        { id: '11'.repeat(32), type: 'data', length: 0x0102, uncompressedLength: 0 },
        { id: '22'.repeat(32), type: 'tree', length: 0x30, uncompressedLength: 0 },
        { id: '33'.repeat(32), type: 'data', length: 0x40, uncompressedLength: 0x05060708 },
        { id: '44'.repeat(32), type: 'tree', length: 0x50, uncompressedLength: 9 },
      ]),
      sealer,
    );
    expect(sealer.open(tail.subarray(0, -4))).toEqual(
      hex(
        `0002010000${'11'.repeat(32)}0130000000${'22'.repeat(32)}` +
          `024000000008070605${'33'.repeat(32)}035000000009000000${'44'.repeat(32)}`,
      ),
    );
    expect(new DataView(tail.buffer).getUint32(tail.length - 4, true)).toBe(tail.length - 4);
  });

  it('read back as written, in one request when short and two when long', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyBlob, { minLength: 1, maxLength: 40 }), async (blobs) => {
        const entries = layOut(blobs);
        const tail = encodePackHeader(entries, sealer);
        const size = packFileSize(entries);
        expect(size).toBe(entries.reduce((sum, entry) => sum + entry.length, 0) + tail.length);
        const pack = packOf(tail, size);
        expect(await readPackHeader(pack.read, size, sealer, 2)).toEqual(entries);
        expect(pack.requests.length).toBe(tail.length <= 15 * 41 + 36 ? 1 : 2);
      }),
      BOXED,
    );
  });

  it('hold as many entries as restic reads, and no more', async () => {
    const entries = layOut(
      Array.from({ length: MAX_HEADER_ENTRIES }, () => ({ id: ID, type: 'data', length: 33, uncompressedLength: 1 })),
    );
    expect(MAX_HEADER_ENTRIES).toBe(409_199);
    const tail = encodePackHeader(entries, sealer);
    expect(tail.length).toBeLessThanOrEqual(16 * 2 ** 20 + 4);
    const size = packFileSize(entries);
    expect(await readPackHeader(packOf(tail, size).read, size, sealer, 2)).toHaveLength(MAX_HEADER_ENTRIES);
    const last = { id: ID, type: 'data', offset: 33 * entries.length, length: 33, uncompressedLength: 0 } as const;
    expect(() => encodePackHeader([...entries, last], sealer)).toThrow(RangeError);
  });

  it.each<[string, Partial<PackEntry>]>([
    ['a gap', { offset: 1 }],
    ['an empty blob', { length: 32 }],
    ['a sealed length of 4 GiB', { length: 2 ** 32 }],
    ['a plain length of 4 GiB', { uncompressedLength: 2 ** 32 }],
  ])('are not written with %s', (_, wrong) => {
    const entry = { id: ID, type: 'data', offset: 0, length: 40, uncompressedLength: 0, ...wrong } as const;
    expect(() => encodePackHeader([entry], sealer)).toThrow(RangeError);
    expect(() => encodePackHeader([], sealer)).toThrow(RangeError);
  });

  it('are proven before they are used', () => {
    const entry = { id: ID, type: 'data', offset: 0, length: 40, uncompressedLength: 0 } as const;
    const broken: Sealer = { seal: sealer.seal, open: (bytes) => sealer.open(bytes).map((byte) => byte ^ 1) };
    expect(() => encodePackHeader([entry], broken)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });

  const entry = (kind: number, length: number, more = ''): Uint8Array =>
    hex(`0${kind}${length.toString(16).padStart(2, '0')}000000${more}${ID}`);

  it('accept the pack that the refused ones below are made from', async () => {
    expect(await read(packWith(entry(0, 100)))).toEqual([
      { id: ID, type: 'data', offset: 0, length: 100, uncompressedLength: 0 },
    ]);
    expect(await read(packWith(entry(3, 100, '07000000')))).toEqual([
      { id: ID, type: 'tree', offset: 0, length: 100, uncompressedLength: 7 },
    ]);
  });

  it.each<[string, Uint8Array]>([
    ['an unknown type', packWith(entry(4, 100))],
    ['blobs that do not fill the pack', packWith(entry(0, 99))],
    ['blobs that overfill the pack', packWith(entry(0, 101))],
    ['an empty blob', packWith(Uint8Array.of(...entry(0, 32), ...entry(0, 68)))],
    ['a compressed blob of no length', packWith(entry(2, 100, '00000000'))],
    ['half an entry', packWith(entry(0, 100).subarray(0, 36))],
    ['no entry', packWith(new Uint8Array(0))],
    ['a length that is one too long', packWith(entry(0, 100), sealer, 1)],
    ['a length that is one too short', packWith(entry(0, 100), sealer, -1)],
    ['a length of 4 GiB', packWith(entry(0, 100), sealer, 2 ** 32 - 100)],
    ['a header of another key', packWith(entry(0, 100), createSealer(generateMasterKey()))],
    ['72 bytes', new Uint8Array(72)],
    ['zeros', new Uint8Array(1_000)],
  ])('are refused with %s', async (_, pack) => {
    expect(await codeOf(() => read(pack))).toBe('corrupt');
  });

  it('are refused when longer than 16 MiB, before they are read', async () => {
    const tail = new Uint8Array(651);
    new DataView(tail.buffer).setUint32(647, 16 * 2 ** 20 + 1, true);
    const pack = packOf(tail, 2 ** 30);
    expect(await codeOf(() => readPackHeader(pack.read, 2 ** 30, sealer, 2))).toBe('corrupt');
    expect(pack.requests).toHaveLength(1);
  });

  it('name no compressed blobs in repositories of version 1', async () => {
    const pack = packWith(entry(2, 100, '07000000'));
    expect(await codeOf(() => read(pack, 2))).toBeUndefined();
    expect(await codeOf(() => read(pack, 1))).toBe('corrupt');
  });

  it('are refused after any flip or cut, with engine errors only', async () => {
    const pack = packWith(entry(0, 100));
    for (let at = 100; at < pack.length; at++) {
      const bad = pack.slice();
      bad[at]! ^= 0x40;
      expect(await codeOf(() => read(bad))).toBe('corrupt');
    }
    for (let length = 0; length < pack.length; length++) {
      expect(await codeOf(() => read(pack.subarray(0, length)))).toBe('corrupt');
      const short = async ({ offset }: ByteRange): Promise<Uint8Array> => pack.subarray(offset, length);
      expect(await codeOf(() => readPackHeader(short, pack.length, sealer, 2))).toBe('out-of-range');
    }
  });
});

describe('lengths of blobs', () => {
  it('are those before compression', async () => {
    expect(plainLengthOf({ length: 132, uncompressedLength: 0 })).toBe(100);
    expect(plainLengthOf({ length: 132, uncompressedLength: 500 })).toBe(500);
    expect(await codeOf(() => plainLengthOf({ length: 31, uncompressedLength: 0 }))).toBe('corrupt');
  });
});
