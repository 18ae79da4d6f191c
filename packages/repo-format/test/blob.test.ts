import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlobCodec } from '../src/blob.ts';
import { storeFrame } from '../src/compress/store-frame.ts';
import { generateMasterKey } from '../src/crypto/master-key.ts';
import { nodePrimitives, sha256 } from '../src/crypto/node-primitives.ts';
import { portablePrimitives } from '../src/crypto/portable-primitives.ts';
import { createSealer } from '../src/crypto/seal.ts';
import { BOXED, codeOf } from './errors-of.ts';

const sealer = createSealer(generateMasterKey());
const TEXT = new TextEncoder().encode('text '.repeat(100));

describe('the blob codec', () => {
  it('returns what it was given, whatever the settings', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 4_000 }),
        fc.constantFrom('data' as const, 'tree' as const),
        fc.constantFrom(1 as const, 2 as const),
        fc.constantFrom('off' as const, 'auto' as const, 'fastest' as const),
        fc.boolean(),
        (plain, type, version, compression, verify) => {
          const codec = createBlobCodec({ sealer, version, compression, verify });
          const blob = codec.seal(type, plain);
          const compressed = version === 2 && plain.length > 0 && (type === 'tree' || compression !== 'off');
          expect(blob).toMatchObject({ id: sha256(plain), type, uncompressedLength: compressed ? plain.length : 0 });
          if (!compressed) expect(blob.bytes).toHaveLength(plain.length + 32);
          expect(codec.open(blob, blob.bytes)).toEqual(plain);
        },
      ),
      BOXED,
    );
  });

  it('takes the id it is given, and its primitives', () => {
    const hashed: number[] = [];
    const sha = (bytes: Uint8Array): string => {
      hashed.push(bytes.length);
      return portablePrimitives.sha256(bytes);
    };
    const primitives = { ...nodePrimitives, sha256: sha };
    const codec = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: false, primitives });
    expect(codec.seal('data', TEXT, sha256(TEXT)).id).toBe(sha256(TEXT));
    expect(hashed).toEqual([]);
    expect(codec.seal('data', TEXT).id).toBe(sha256(TEXT));
    expect(hashed).toEqual([TEXT.length]);
  });

  it('notices at once when sealing went wrong, if told to verify', async () => {
    const failing = { ...sealer, seal: (plain: Uint8Array) => sealer.seal(plain.map((byte) => byte ^ 1)) };
    const options = { sealer: failing, version: 1, compression: 'off' } as const;
    expect(await codeOf(() => createBlobCodec({ ...options, verify: true }).seal('data', TEXT))).toBe('corrupt');
    expect(await codeOf(() => createBlobCodec({ ...options, verify: false }).seal('data', TEXT))).toBeUndefined();
  });

  it('seals what another repository has sealed, and refuses what it would not open', async () => {
    const other = createSealer(generateMasterKey());
    const options = { version: 2, compression: 'auto' } as const;
    for (const compression of ['auto', 'off'] as const) {
      const blob = createBlobCodec({ sealer: other, ...options, compression, verify: false }).seal('data', TEXT);
      for (const verify of [true, false]) {
        const codec = createBlobCodec({ sealer, ...options, verify });
        const moved = codec.reseal(blob, blob.bytes, other);
        expect(moved).toMatchObject({ id: blob.id, type: 'data', uncompressedLength: blob.uncompressedLength });
        expect(sealer.open(moved.bytes)).toEqual(other.open(blob.bytes));
        expect(codec.open(moved, moved.bytes)).toEqual(TEXT);
        const wrong = { ...blob, id: sha256(new Uint8Array(1)) };
        expect(await codeOf(() => codec.reseal(wrong, blob.bytes, other))).toBe('corrupt');
        expect(await codeOf(() => codec.reseal(blob, blob.bytes, sealer))).toBe('corrupt');
        expect(await codeOf(() => codec.reseal(blob, blob.bytes.subarray(1), other))).toBe('corrupt');
      }
      const failing = { ...sealer, seal: (plain: Uint8Array) => sealer.seal(plain.map((byte) => byte ^ 1)) };
      const bad = createBlobCodec({ sealer: failing, ...options, verify: true });
      expect(await codeOf(() => bad.reseal(blob, blob.bytes, other))).toBe('corrupt');
    }
  });

  it('refuses other content, another length, cuts and flips', async () => {
    const codec = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: false });
    const blob = codec.seal('data', TEXT);
    expect(await codeOf(() => codec.open({ ...blob, id: sha256(new Uint8Array(1)) }, blob.bytes))).toBe('corrupt');
    for (const uncompressedLength of [0, 1, TEXT.length - 1, TEXT.length + 1, 1_000_000]) {
      expect(await codeOf(() => codec.open({ ...blob, uncompressedLength }, blob.bytes))).toBe('corrupt');
    }
    for (let at = 0; at < blob.bytes.length; at++) {
      expect(await codeOf(() => codec.open(blob, blob.bytes.subarray(0, at)))).toBe('corrupt');
      const bad = blob.bytes.slice();
      bad[at]! ^= 1;
      expect(await codeOf(() => codec.open(blob, bad))).toBe('corrupt');
    }
  });

  it('reads frames of other writers, and refuses sealed bytes that are no frame', async () => {
    const codec = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: false });
    const entry = { id: sha256(TEXT), type: 'data', uncompressedLength: TEXT.length } as const;
    expect(codec.open(entry, sealer.seal(storeFrame(TEXT)))).toEqual(TEXT);
    expect(await codeOf(() => codec.open(entry, sealer.seal(TEXT)))).toBe('corrupt');
  });

  it('believes no entry that claims 4 GiB', async () => {
    const codec = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: false });
    const blob = codec.seal('data', TEXT);
    const before = process.memoryUsage().arrayBuffers;
    expect(await codeOf(() => codec.open({ ...blob, uncompressedLength: 2 ** 32 - 1 }, blob.bytes))).toBe('too-large');
    expect(await codeOf(() => codec.open({ ...blob, uncompressedLength: 2 ** 29 }, blob.bytes))).toBe('corrupt');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});
