import { describe, expect, it } from 'vitest';
import { generateMasterKey } from '../src/crypto/master-key.ts';
import { nodePrimitives } from '../src/crypto/node-primitives.ts';
import { portablePrimitives } from '../src/crypto/portable-primitives.ts';
import { createKeyFile, decodeKeyFile, openKeyFile } from '../src/keys/key-file.ts';
import { calibrateScrypt } from '../src/keys/scrypt-params.ts';
import { codeOf } from './errors-of.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const LOW = { N: 128, r: 1, p: 1 };
const FACTS = { created: '2026-01-02T03:04:05.678+01:00', username: 'u<', hostname: 'h' };

async function makeFile(password = 'geheim'): Promise<{ key: ReturnType<typeof generateMasterKey>; file: Uint8Array }> {
  const key = generateMasterKey();
  return { key, file: await createKeyFile({ password: utf8(password), key, params: LOW, ...FACTS }) };
}

function changed(file: Uint8Array, change: object): Uint8Array {
  const fields: object = JSON.parse(new TextDecoder().decode(file));
  return utf8(JSON.stringify({ ...fields, ...change }));
}

describe('key files', () => {
  it('open with their password, across implementations', async () => {
    for (const primitives of [nodePrimitives, portablePrimitives]) {
      const key = generateMasterKey();
      const file = await createKeyFile({ password: utf8('pässword'), key, params: LOW, ...FACTS, primitives });
      expect(await openKeyFile(file, utf8('pässword'))).toEqual(key);
      expect(await openKeyFile(file, utf8('pässword'), { primitives: portablePrimitives })).toEqual(key);
      expect(await codeOf(() => openKeyFile(file, utf8('password')))).toBe('wrong-password');
      expect(await codeOf(() => openKeyFile(file, new Uint8Array(0)))).toBe('wrong-password');
    }
  });

  it('open with an empty password, if that is the password', async () => {
    const { key, file } = await makeFile('');
    expect(await openKeyFile(file, new Uint8Array(0))).toEqual(key);
  });

  it('are written as restic writes them', async () => {
    const { file } = await makeFile();
    expect(new TextDecoder().decode(file)).toMatch(
      /^\{"created":"2026-01-02T03:04:05.678\+01:00","username":"u\\u003c","hostname":"h","kdf":"scrypt","N":128,"r":1,"p":1,"salt":"[A-Za-z0-9+/]{86}==","data":"[A-Za-z0-9+/]+=*"\}$/,
    );
    expect(decodeKeyFile(file)).toMatchObject({ ...FACTS, ...LOW });
    expect(decodeKeyFile(file).salt).toHaveLength(64);
  });

  it.each<[string, object, string]>([
    ['another function', { kdf: 'argon2' }, 'unsupported'],
    ['no function', { kdf: undefined }, 'corrupt'],
    ['N not a power of two', { N: 127 }, 'corrupt'],
    ['N = 1', { N: 1 }, 'corrupt'],
    ['N = 0', { N: 0 }, 'corrupt'],
    ['N beyond r', { N: 65_536, r: 1 }, 'corrupt'],
    ['a fraction', { r: 1.5 }, 'corrupt'],
    ['r = 0', { r: 0 }, 'corrupt'],
    ['p = 0', { p: 0 }, 'corrupt'],
    ['a negative p', { p: -1 }, 'corrupt'],
    ['a table of 512 MiB', { N: 2 ** 19, r: 8 }, 'too-large'],
    ['a huge N', { N: 2 ** 52, r: 8 }, 'too-large'],
    ['huge blocks', { N: 2, r: 2 ** 21 }, 'too-large'],
    ['many lanes', { N: 32_768, r: 8, p: 257 }, 'too-large'],
    ['many small lanes', { N: 2, p: 2 ** 22 }, 'too-large'],
    ['a short salt', { salt: 'AAAA' }, 'corrupt'],
    ['a salt that is not base64', { salt: '!' }, 'corrupt'],
    ['no data', { data: '' }, 'corrupt'],
    ['a number for data', { data: 5 }, 'corrupt'],
    ['a number for a name', { username: 5 }, 'corrupt'],
    ['200 KB', { hostname: 'h'.repeat(200_000) }, 'too-large'],
  ])('with %s are refused at once', async (_, change, code) => {
    const { file } = await makeFile();
    const started = performance.now();
    expect(await codeOf(() => openKeyFile(changed(file, change), utf8('geheim')))).toBe(code);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it("of restic's usual costs are accepted", async () => {
    const { file } = await makeFile();
    for (const params of [
      { N: 65_536, r: 8, p: 1 },
      { N: 32_768, r: 8, p: 25 },
      { N: 16_384, r: 8, p: 100 },
    ]) {
      expect(decodeKeyFile(changed(file, params))).toMatchObject(params);
    }
  });

  it('give engine errors only after any change of a byte', async () => {
    const { file } = await makeFile();
    for (let at = 0; at < file.length; at++) {
      expect(await codeOf(() => openKeyFile(file.subarray(0, at), utf8('geheim')))).toBe('corrupt');
      const bad = file.slice();
      bad[at]! ^= 1;
      const code = await codeOf(() => openKeyFile(bad, utf8('geheim')));
      expect([undefined, 'corrupt', 'unsupported', 'too-large', 'wrong-password']).toContain(code);
    }
  });

  it('stop opening when told', async () => {
    const { file } = await makeFile();
    expect(await codeOf(() => openKeyFile(file, utf8('geheim'), { signal: AbortSignal.abort() }))).toBe('aborted');
  });

  it('are not made with illegal costs', async () => {
    const key = generateMasterKey();
    const make = (params: typeof LOW) => createKeyFile({ password: utf8('x'), key, params, ...FACTS });
    expect(await codeOf(() => make({ N: 100, r: 8, p: 1 }))).toBe('bad-request');
    expect(await codeOf(() => make({ N: 2 ** 20, r: 8, p: 1 }))).toBe('too-large');
  });
});

describe('calibration', () => {
  /** A machine on which mixing 32 MiB takes `ms`. */
  function machine(ms: number): Pick<Parameters<typeof calibrateScrypt>[0], 'now' | 'primitives'> {
    const clock = { ms: 0 };
    const scrypt: typeof nodePrimitives.scrypt = async (_password, _salt, { N, r, p }) => {
      clock.ms += (ms * N * r * p) / (32_768 * 8);
      return new Uint8Array(64);
    };
    return { now: () => clock.ms, primitives: { ...nodePrimitives, scrypt } };
  }

  it.each([
    [60, { N: 32_768, r: 8, p: 8 }],
    [100, { N: 32_768, r: 8, p: 5 }],
    [499, { N: 32_768, r: 8, p: 1 }],
    [600, { N: 16_384, r: 8, p: 1 }],
    [100_000, { N: 16_384, r: 8, p: 1 }],
    [0, { N: 32_768, r: 8, p: 256 }],
  ])('of a machine that takes %s ms', async (ms, params) => {
    expect(await calibrateScrypt(machine(ms))).toEqual(params);
  });

  it('keeps to the memory and the time it is given', async () => {
    expect(await calibrateScrypt({ ...machine(60), memoryBytes: 128 * 2 ** 20 })).toEqual({ N: 131_072, r: 8, p: 2 });
    expect(await calibrateScrypt({ ...machine(60), memoryBytes: 2 ** 24 })).toEqual({ N: 16_384, r: 8, p: 16 });
    expect(await calibrateScrypt({ ...machine(60), timeoutMs: 130 })).toEqual({ N: 32_768, r: 8, p: 2 });
  });

  it('never chooses what it would refuse to open', async () => {
    const params = await calibrateScrypt({ ...machine(0), timeoutMs: 1e9 });
    const { file } = await makeFile();
    expect(decodeKeyFile(changed(file, params))).toMatchObject(params);
  });
});
