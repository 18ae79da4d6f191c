import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMasterKey, encodeMasterKey, generateMasterKey } from '../src/crypto/master-key.ts';
import { nodePrimitives } from '../src/crypto/node-primitives.ts';
import { poly1305 } from '../src/crypto/poly1305.ts';
import { portablePrimitives } from '../src/crypto/portable-primitives.ts';
import { createSealer, SEAL_OVERHEAD } from '../src/crypto/seal.ts';
import { BOXED, codeOf, hex } from './errors-of.ts';

/** From restic's own tests: message, r, k, nonce, tag. */
const MACS = [
  [
    'f3f6',
    '851fc40c3467ac0be05cc20404f3f700',
    'ec074c835580741701425b623235add6',
    'fb447350c4e868c52ac3275cf9d4327e',
    'f4c633c3044fc145f84f335cb81953de',
  ],
  [
    '',
    'a0f3080000f46400d0c7e9076c834403',
    '75deaa25c09f208e1dc4ce6b5cad3fbf',
    '61ee09218d29b0aaed7e154a2c5509cc',
    'dd3fab2251f11ac759f0887129cc2ee7',
  ],
  [
    '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
    '48443d0bb0d21109c89a100b5ce2c208',
    '6acb5f61a7176dd320c5c1eb2edcdc74',
    'ae212a55399729595dea458bc621ff0e',
    '0ee1c16bb73f0f4fd19881753c01cdbe',
  ],
  [
    'ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9',
    '12976a08c4426d0ce8a82407c4f48207',
    'e1a5668a4d5b66a5f68cc5424ed5982d',
    '9ae831e743978d3a23527c7128149e3a',
    '5154ad0d2cb26e01274fc51148491f1b',
  ],
] as const;

const KEY = {
  encrypt: hex('303e8687b1d7db18421bdc6bb8588ccadac4d59ee87b8ff70c44e635790cafef'),
  mac: { k: hex('ef4d8824cb80b2bcc5fbff8a9b12a42c'), r: hex('cc8d4b948ee0ebfe1d415de921d10353') },
};
const SEALED = hex(
  '69fb41c62d12def4593bd71757138606338f621aeaeb39da0fe4f99233f8037a54ea63338a813bcf3f75d8c3cc75dddf8750',
);

describe('sealing', () => {
  it.each(MACS)('authenticates "%s" as restic does', (message, r, k, nonce, tag) => {
    for (const primitives of [nodePrimitives, portablePrimitives]) {
      expect(poly1305(hex(r), primitives.block(hex(k))(hex(nonce)), hex(message))).toEqual(hex(tag));
    }
  });

  it('opens what restic sealed', () => {
    for (const primitives of [nodePrimitives, portablePrimitives]) {
      expect(new TextDecoder().decode(createSealer(KEY, primitives).open(SEALED))).toBe('Dies ist ein Test!');
    }
  });

  it('returns what it was given, across implementations', () => {
    const [node, portable] = [createSealer(KEY), createSealer(KEY, portablePrimitives)];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (plain) => {
        const sealed = node.seal(plain);
        expect(sealed).toHaveLength(plain.length + SEAL_OVERHEAD);
        expect(portable.open(sealed)).toEqual(plain);
        expect(node.open(portable.seal(plain))).toEqual(plain);
      }),
      BOXED,
    );
  });

  it('uses a fresh IV each time, and buffers of its own', () => {
    const sealer = createSealer(KEY);
    const plain = new Uint8Array(100);
    const [one, two] = [sealer.seal(plain), sealer.seal(plain)];
    expect(one.subarray(0, 16)).not.toEqual(two.subarray(0, 16));
    expect(one.buffer.byteLength).toBe(132);
    const copy = one.slice();
    sealer.open(one).fill(1);
    expect(one).toEqual(copy);
    expect(plain).toEqual(new Uint8Array(100));
  });

  it('refuses every single bit flip and every truncation', async () => {
    const sealer = createSealer(KEY);
    for (let bit = 0; bit < SEALED.length * 8; bit++) {
      const bad = SEALED.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(await codeOf(() => sealer.open(bad))).toBe('corrupt');
    }
    for (let length = 0; length < SEALED.length; length++) {
      expect(await codeOf(() => sealer.open(SEALED.subarray(0, length)))).toBe('corrupt');
    }
  });

  it('refuses an IV of zeros even when the tag matches', async () => {
    const zeros = { ...nodePrimitives, randomBytes: (length: number) => new Uint8Array(length) };
    const sealed = createSealer(KEY, zeros).seal(hex('0102'));
    expect(await codeOf(() => createSealer(KEY).open(sealed))).toBe('corrupt');
  });

  it('refuses the bytes of another key', async () => {
    expect(await codeOf(() => createSealer(generateMasterKey()).open(SEALED))).toBe('corrupt');
  });
});

describe('the master key as JSON', () => {
  it("is restic's", () => {
    const json =
      '{"mac":{"k":"TbkpCBdNYAvAwb+64r8VGw==","r":"Q5V1CnAvBQREgJAOQD40Bw=="},"encrypt":"SjCkTpms+XOUJR5LSsy2G+uO9ngG7H0L+IVwPV4u70A="}';
    const key = decodeMasterKey(new TextEncoder().encode(json));
    expect(key.mac.k).toEqual(hex('4db92908174d600bc0c1bfbae2bf151b'));
    expect(key.encrypt).toHaveLength(32);
    expect(new TextDecoder().decode(encodeMasterKey(key))).toBe(json);
  });

  it('survives a round trip, and differs each time', () => {
    const key = generateMasterKey();
    expect(decodeMasterKey(encodeMasterKey(key))).toEqual(key);
    expect(generateMasterKey()).not.toEqual(key);
  });

  it.each([
    '',
    '[]',
    '{}',
    '{"mac":[],"encrypt":""}',
    '{"mac":{"k":"TbkpCBdNYAvAwb+64r8VGw==","r":"Q5V1CnAvBQREgJAOQD40Bw=="},"encrypt":"SjCkTpms"}',
    '{"mac":{"k":"TbkpCBdNYAvAwb+64r8VGw==","r":"Q5V1CnAvBQREgJAOQD40Bw=="},"encrypt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}',
    '{"mac":{"k":"AAAAAAAAAAAAAAAAAAAAAA==","r":"Q5V1CnAvBQREgJAOQD40Bw=="},"encrypt":"SjCkTpms+XOUJR5LSsy2G+uO9ngG7H0L+IVwPV4u70A="}',
    '{"mac":{"k":"TbkpCBdNYAvAwb+64r8VGw==","r":"AAAAAAAAAAAAAAAAAAAAAA=="},"encrypt":"SjCkTpms+XOUJR5LSsy2G+uO9ngG7H0L+IVwPV4u70A="}',
  ])('is refused when invalid: %s', async (json) => {
    expect(await codeOf(() => decodeMasterKey(new TextEncoder().encode(json)))).toBe('corrupt');
  });
});
