import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compress } from '../src/compress/zstd.ts';
import { generateMasterKey } from '../src/crypto/master-key.ts';
import { createSealer } from '../src/crypto/seal.ts';
import { openUnpacked, sealUnpacked } from '../src/unpacked.ts';
import { BOXED, codeOf } from './errors-of.ts';

const sealer = createSealer(generateMasterKey());
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const JSON_TEXT = utf8('{"a":1}');

describe('unpacked files', () => {
  it('read back as written', () => {
    fc.assert(
      fc.property(
        fc.json(),
        fc.constantFrom(1 as const, 2 as const),
        fc.constantFrom('off' as const, 'max' as const),
        (text, version, compression) => {
          const json = utf8(`[${text}]`);
          expect(openUnpacked(sealUnpacked(json, version, sealer, { compression }), version, sealer)).toEqual(json);
        },
      ),
      BOXED,
    );
  });

  it('are compressed in version 2, behind a byte that says so, and raw in version 1', () => {
    expect(sealer.open(sealUnpacked(JSON_TEXT, 1, sealer))).toEqual(JSON_TEXT);
    for (const options of [{}, { compression: 'off' }] as const) {
      const plain = sealer.open(sealUnpacked(JSON_TEXT, 2, sealer, options));
      expect([...plain.subarray(0, 5)]).toEqual([0x02, 0x28, 0xb5, 0x2f, 0xfd]);
    }
  });

  it('may be raw in version 2, when older than the upgrade', () => {
    for (const text of ['{"a":1}', '["a"]']) {
      expect(openUnpacked(sealer.seal(utf8(text)), 2, sealer)).toEqual(utf8(text));
    }
  });

  it('are passed through in version 1, whatever their first byte', () => {
    expect(openUnpacked(sealer.seal(Uint8Array.of(2, 3)), 1, sealer)).toEqual(Uint8Array.of(2, 3));
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['the mark alone', Uint8Array.of(2)],
    ['another mark', Uint8Array.of(1, ...compress(JSON_TEXT, 'auto'))],
    ['half a frame', Uint8Array.of(2, ...compress(JSON_TEXT, 'auto').subarray(0, 8))],
    ['a space before the JSON', utf8(' {}')],
  ])('are refused when they hold %s', async (_, plain) => {
    expect(await codeOf(() => openUnpacked(sealer.seal(plain), 2, sealer))).toBe('corrupt');
  });

  it('are refused after any cut or flip', async () => {
    const file = sealUnpacked(JSON_TEXT, 2, sealer);
    for (let at = 0; at < file.length; at++) {
      expect(await codeOf(() => openUnpacked(file.subarray(0, at), 2, sealer))).toBe('corrupt');
      const bad = file.slice();
      bad[at]! ^= 4;
      expect(await codeOf(() => openUnpacked(bad, 2, sealer))).toBe('corrupt');
    }
  });

  it('stop at the limit, also when they claim to be small', async () => {
    const json = utf8(`{"a":"${' '.repeat(1_000_000)}"}`);
    const file = sealUnpacked(json, 2, sealer);
    expect(file.length).toBeLessThan(1_000);
    expect(openUnpacked(file, 2, sealer, { maxBytes: json.length })).toHaveLength(json.length);
    expect(await codeOf(() => openUnpacked(file, 2, sealer, { maxBytes: json.length - 1 }))).toBe('too-large');
    expect(await codeOf(() => openUnpacked(file, 2, sealer, { maxBytes: 100 }))).toBe('too-large');
  });

  it.each([1, 2] as const)('are held to the limit when raw, too (version %s)', async (version) => {
    const file = sealer.seal(JSON_TEXT);
    expect(openUnpacked(file, version, sealer, { maxBytes: JSON_TEXT.length })).toEqual(JSON_TEXT);
    const tooSmall = { maxBytes: JSON_TEXT.length - 1 };
    expect(await codeOf(() => openUnpacked(file, version, sealer, tooSmall))).toBe('too-large');
  });
});
