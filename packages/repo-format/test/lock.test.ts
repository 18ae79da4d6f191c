import { describe, expect, it } from 'vitest';
import { decodeLock, encodeLock, isStale, type Lock } from '../src/lock.ts';
import { codeOf } from './errors-of.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const LOCK: Lock = {
  time: '2026-11-22T14:15:16.496212115+01:00',
  exclusive: true,
  hostname: 'a&b',
  username: 'root',
  pid: 4711,
};
const JSON_TEXT =
  '{"time":"2026-11-22T14:15:16.496212115+01:00","exclusive":true,"hostname":"a\\u0026b","username":"root","pid":4711}';

describe('locks', () => {
  it('are written as restic writes them, and read back', () => {
    expect(new TextDecoder().decode(encodeLock(LOCK))).toBe(JSON_TEXT);
    expect(decodeLock(utf8(JSON_TEXT))).toEqual(LOCK);
    const owned = { ...LOCK, uid: 1000, gid: 100 };
    expect(new TextDecoder().decode(encodeLock(owned))).toBe(JSON_TEXT.replace('4711', '4711,"uid":1000,"gid":100'));
    expect(decodeLock(encodeLock(owned))).toEqual(owned);
    expect(decodeLock(encodeLock({ ...LOCK, uid: 0, gid: 0 }))).toEqual(LOCK);
    const told = { ...LOCK, run: 'abc', lockFreePrune: true };
    const members = '4711,"run":"abc","lock_free_prune":true';
    expect(new TextDecoder().decode(encodeLock(told))).toBe(JSON_TEXT.replace('4711', members));
    expect(decodeLock(encodeLock(told))).toEqual(told);
    expect(decodeLock(utf8(JSON_TEXT.replace('4711', '4711,"run":7,"lock_free_prune":"no"')))).toEqual(LOCK);
    expect(decodeLock(encodeLock({ ...LOCK, lockFreePrune: false }))).toEqual(LOCK);
  });

  it.each([
    [''],
    ['{}'],
    ['[]'],
    [JSON_TEXT.replace('2026-11-22T', '')],
    [JSON_TEXT.replace('true', '"yes"')],
    [JSON_TEXT.replace('4711', '-1')],
    [JSON_TEXT.replace('4711', '4711,"uid":4294967296')],
    [JSON_TEXT.replace('"root"', '0')],
  ])('are refused when invalid: %s', async (json) => {
    expect(await codeOf(() => decodeLock(utf8(json)))).toBe('corrupt');
  });

  it('are read or refused after any change of a byte', async () => {
    const bytes = utf8(JSON_TEXT);
    for (let at = 0; at < bytes.length; at++) {
      expect(await codeOf(() => decodeLock(bytes.subarray(0, at)))).toBe('corrupt');
      const bad = bytes.slice();
      bad[at]! ^= 2;
      expect([undefined, 'corrupt']).toContain(await codeOf(() => decodeLock(bad)));
    }
  });

  const taken = Date.parse('2026-11-22T13:15:16Z') / 1_000;
  it.each<[string, boolean, { after: number; hostname: string; alive: boolean }]>([
    ['fresh, of another host', false, { after: 0, hostname: 'other', alive: false }],
    ['fresh, of a process that lives', false, { after: 1_800, hostname: 'a&b', alive: true }],
    ['fresh, of a process that is gone', true, { after: 0, hostname: 'a&b', alive: false }],
    ['older than half an hour', true, { after: 1_801, hostname: 'other', alive: true }],
    ['from the future', false, { after: -100_000, hostname: 'other', alive: false }],
  ])('that are %s: stale is %s', (_, stale, { after, hostname, alive }) => {
    const asked: number[] = [];
    const isAlive = (pid: number): boolean => {
      asked.push(pid);
      return alive;
    };
    expect(isStale(LOCK, { nowSeconds: taken + after, hostname, isAlive })).toBe(stale);
    expect(asked.every((pid) => pid === LOCK.pid)).toBe(true);
  });
});
