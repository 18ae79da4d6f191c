import { describe, expect, it } from 'vitest';
import { decodeConfig, encodeConfig } from '../src/config.ts';
import { codeOf } from './errors-of.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const ID = '76772da2eb51454a1286eb6c383fdb4be641d34ad42aa1b3b186fb7841ccc4d8';
const CONFIG = `{"version":2,"id":"${ID}","chunker_polynomial":"3624d81f96bd69"}`;

describe('the config', () => {
  it('is written as restic writes it, and read back', () => {
    const config = { version: 2, id: ID, chunkerPolynomial: '3624d81f96bd69' } as const;
    expect(new TextDecoder().decode(encodeConfig(config))).toBe(CONFIG);
    expect(decodeConfig(utf8(CONFIG))).toEqual(config);
    expect(decodeConfig(utf8(`${CONFIG}\n`))).toEqual(config);
    expect(decodeConfig(utf8(CONFIG.replace('2', '1')))).toEqual({ ...config, version: 1 });
  });

  it('keeps what others wrote into it', () => {
    const json = CONFIG.replace('}', ',"big":18446744073709551615,"<":{"a":[1.50]},"text":"\\u003c"}');
    const config = decodeConfig(utf8(json));
    expect(config.unknown).toEqual({ big: '18446744073709551615', '<': '{"a":[1.50]}', text: '"\\u003c"' });
    const again = encodeConfig(config);
    expect(new TextDecoder().decode(again)).toBe(json.replace('"<"', '"\\u003c"'));
    expect(decodeConfig(again)).toEqual(config);
  });

  it.each([['0'], ['3'], ['2.5'], ['-1']])('of version %s is not supported', async (version) => {
    expect(await codeOf(() => decodeConfig(utf8(CONFIG.replace('2', version))))).toBe('unsupported');
  });

  it.each([
    [''],
    ['null'],
    ['[]'],
    [CONFIG.replace('"version":2,', '')],
    [CONFIG.replace('2', '"2"')],
    [CONFIG.replace(ID, 'abc')],
    [CONFIG.replace('3624d81f96bd69', '')],
    [CONFIG.replace('3624d81f96bd69', '0x5')],
    [CONFIG.replace('3624d81f96bd69', '1'.repeat(17))],
    [CONFIG.replace('"3624d81f96bd69"', '5')],
  ])('is refused when it is %s', async (json) => {
    expect(await codeOf(() => decodeConfig(utf8(json)))).toBe('corrupt');
  });

  it('is refused or read after any change of a byte', async () => {
    const bytes = utf8(CONFIG);
    for (let at = 0; at < bytes.length; at++) {
      expect(await codeOf(() => decodeConfig(bytes.subarray(0, at)))).toBe('corrupt');
      const bad = bytes.slice();
      bad[at]! ^= 1;
      expect([undefined, 'corrupt', 'unsupported']).toContain(await codeOf(() => decodeConfig(bad)));
    }
  });
});
