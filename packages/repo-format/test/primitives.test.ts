import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePrimitives, sha256 } from '../src/crypto/node-primitives.ts';
import { portablePrimitives } from '../src/crypto/portable-primitives.ts';
import { BOXED, codeOf, hex } from './errors-of.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const both = [nodePrimitives, portablePrimitives] as const;

describe('primitives', () => {
  it('hash as FIPS 180-4 has it', () => {
    const abc = new TextEncoder().encode('abc');
    expect(sha256(abc)).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    for (const primitives of both) expect(primitives.sha256(abc)).toBe(sha256(abc));
  });

  it('hash a stream like the whole', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (parts) => {
        const whole = sha256(Uint8Array.from(parts.flatMap((part) => [...part])));
        for (const primitives of both) {
          const stream = primitives.sha256Stream();
          for (const part of parts) stream.update(part);
          expect(stream.digest()).toBe(whole);
        }
      }),
      BOXED,
    );
  });

  // NIST SP 800-38A F.5.5
  it('encrypt in counter mode', () => {
    const key = hex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4');
    const plain = hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51');
    for (const primitives of both) {
      const output = new Uint8Array(plain.length);
      primitives.ctr(key)(hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), plain, output);
      expect(output).toEqual(hex('601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5'));
    }
  });

  it('carry the counter through all of its 128 bits', () => {
    const key = hex('11'.repeat(32));
    const plain = new Uint8Array(64);
    const outputs = both.map((primitives) => {
      const output = new Uint8Array(plain.length);
      primitives.ctr(key)(hex('ff'.repeat(16)), plain, output);
      return output;
    });
    expect(outputs[0]).toEqual(outputs[1]);
    const afterWrap = new Uint8Array(48);
    nodePrimitives.ctr(key)(new Uint8Array(16), new Uint8Array(48), afterWrap);
    expect(outputs[0]?.subarray(16)).toEqual(afterWrap);
  });

  it('agree on ciphers, whatever the key, also beyond one slice', () => {
    fc.assert(
      fc.property(bytes(32), bytes(16), fc.nat({ max: 300_000 }), (key, iv, length) => {
        const input = Uint8Array.from({ length }, (_, index) => index * 31);
        const [a, b] = [new Uint8Array(length), new Uint8Array(length)];
        nodePrimitives.ctr(key)(iv, input, a);
        portablePrimitives.ctr(key)(iv, input, b);
        expect(Buffer.compare(a, b)).toBe(0);
        const [one, two] = both.map((primitives) => primitives.block(key.subarray(0, 16)));
        for (const block of [iv, key.subarray(16)]) expect(new Uint8Array(one!(block))).toEqual(two!(block));
      }),
      BOXED,
    );
  });

  it.each(both)('derive keys as RFC 7914 §12 has it', async (primitives) => {
    const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
    const key = await primitives.scrypt(utf8('password'), utf8('NaCl'), { N: 1024, r: 8, p: 16 });
    expect(Buffer.from(key).toString('hex')).toBe(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162' +
        '2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    );
  });

  it.each(both)('stop deriving when told', async (primitives) => {
    const params = { N: 16_384, r: 8, p: 1 };
    const [password, salt] = [new Uint8Array(8), new Uint8Array(64)];
    expect(await codeOf(() => primitives.scrypt(password, salt, params, AbortSignal.abort()))).toBe('aborted');
    expect(await codeOf(() => primitives.scrypt(password, salt, params, AbortSignal.timeout(1)))).toBe('aborted');
  });

  it.each(both)('make random bytes of any length', (primitives) => {
    for (const length of [0, 1, 16, 70_000]) expect(primitives.randomBytes(length)).toHaveLength(length);
    const bytes = primitives.randomBytes(70_000);
    expect(bytes.subarray(0, 16)).not.toEqual(primitives.randomBytes(16));
    expect(bytes.subarray(69_900).some((byte) => byte !== 0)).toBe(true);
  });
});
