import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareTimestamps, formatTimestamp, parseTimestamp } from '../src/time/timestamp.ts';
import { type TimeZone, UTC } from '../src/time/zone.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 2000 };
const corrupt = expect.objectContaining({ name: 'EngineError', code: 'corrupt' });

function fixed(offset: number): TimeZone {
  return { offsetAt: () => offset };
}

describe('writing times', () => {
  it.each([
    [0, 0, 0, '1970-01-01T00:00:00Z'],
    [-1, 500_000_000, 3600, '1970-01-01T00:59:59.5+01:00'],
    [981173106, 789_000_000, 0, '2001-02-03T04:05:06.789Z'],
    [1795351733, 526_056_240, 0, '2026-11-22T12:48:53.52605624Z'],
    [1795349377, 90_877_775, 3600, '2026-11-22T13:09:37.090877775+01:00'],
    [1795349377, 1, -12600, '2026-11-22T08:39:37.000000001-03:30'],
    [1795349377, 0, 20700, '2026-11-22T17:54:37+05:45'],
    [951782400, 0, 0, '2000-02-29T00:00:00Z'],
    [4107542400, 0, 0, '2100-03-01T00:00:00Z'],
    [-2208988800, 0, 0, '1900-01-01T00:00:00Z'],
    [-62135596800, 0, 0, '0001-01-01T00:00:00Z'],
    [253402300799, 999_999_999, 0, '9999-12-31T23:59:59.999999999Z'],
  ])('%i s and %i ns at offset %i is %s', (seconds, nanoseconds, offset, text) => {
    expect(formatTimestamp(seconds, nanoseconds, fixed(offset))).toBe(text);
    expect(parseTimestamp(text)).toEqual({ seconds, nanoseconds, offsetSeconds: offset });
  });

  it('cuts offsets to minutes while the clock keeps the seconds', () => {
    expect(formatTimestamp(-1499999999, 0, fixed(4772))).toBe('1922-06-20T22:39:33+01:19');
    expect(formatTimestamp(0, 0, fixed(-1521))).toBe('1969-12-31T23:34:39-00:25');
    expect(formatTimestamp(0, 0, fixed(-75))).toBe('1969-12-31T23:58:45-00:01');
    // Not zero, so no Z; and no minus, since no minutes are left.
    expect(formatTimestamp(0, 0, fixed(-30))).toBe('1969-12-31T23:59:30+00:00');
    expect(formatTimestamp(0, 0, fixed(30))).toBe('1970-01-01T00:00:30+00:00');
  });

  it('clamps years to four digits and keeps the other fields', () => {
    expect(formatTimestamp(253402300799, 5, fixed(3600))).toBe('9999-01-01T00:59:59.000000005+01:00');
    expect(formatTimestamp(-62167219201, 0, UTC)).toBe('0000-12-31T23:59:59Z');
    expect(formatTimestamp(-62167219200, 0, UTC)).toBe('0000-01-01T00:00:00Z');
    // A day that 9999 does not have.
    expect(formatTimestamp(Date.UTC(12000, 1, 29) / 1000, 0, UTC)).toBe('9999-03-01T00:00:00Z');
    expect(formatTimestamp(Number.MAX_SAFE_INTEGER, 0, UTC)).toMatch(/^9999-/);
    expect(formatTimestamp(Number.MIN_SAFE_INTEGER, 0, UTC)).toMatch(/^0000-/);
  });

  it('looks for the offset again when it clamps', () => {
    const until9998 = { offsetAt: (seconds: number) => (seconds < 253370764800 ? 7200 : 3600) };
    expect(formatTimestamp(253402300799 + 86400 * 200, 0, until9998)).toMatch(/^9999-07-19T.*\+01:00$/);
  });

  it('agrees with Date where that has a say', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62135596800, max: 253402300799 }), fc.integer({ min: 0, max: 999 }), (s, ms) => {
        const iso = new Date(s * 1000 + ms).toISOString();
        const text = formatTimestamp(s, ms * 1_000_000, UTC);
        expect(text).toBe(iso.replace(/\.?0*Z$/, 'Z'));
        expect(parseTimestamp(text).seconds).toBe(s);
      }),
      box,
    );
  });

  it('survives both ways for whole minutes of offset', () => {
    const minutes = fc.integer({ min: -14 * 60, max: 14 * 60 });
    const seconds = fc.integer({ min: -62135500000, max: 253402200000 });
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), minutes, (s, nanoseconds, offset) => {
        const text = formatTimestamp(s, nanoseconds, fixed(offset * 60));
        expect(parseTimestamp(text)).toEqual({ seconds: s, nanoseconds, offsetSeconds: offset * 60 });
      }),
      box,
    );
  });
});

describe('reading times', () => {
  it.each([
    '',
    '2026-11-22',
    '2026-11-22T13:09:37',
    '2026-11-22 13:09:37Z',
    '2026-13-22T13:09:37Z',
    '2026-00-22T13:09:37Z',
    '2026-11-31T13:09:37Z',
    '2026-11-00T13:09:37Z',
    '2025-02-29T13:09:37Z',
    '2026-11-22T24:09:37Z',
    '2026-11-22T13:60:37Z',
    '2026-11-22T13:09:60Z',
    '2026-11-22T13:09:37.Z',
    '2026-11-22T13:09:37.1234567890Z',
    '2026-11-22T13:09:37+0100',
    '2026-11-22T13:09:37+24:00',
    '2026-11-22T13:09:37+01:60',
    '12026-11-22T13:09:37Z',
    '2026-11-22T13:09:37Z\n',
  ])('refuses %j', (text) => {
    expect(() => parseTimestamp(text)).toThrow(corrupt);
  });

  it('takes an offset of zero in either form', () => {
    expect(parseTimestamp('2026-11-22T13:09:37+00:00')).toEqual(parseTimestamp('2026-11-22T13:09:37Z'));
  });
});

describe('comparing times', () => {
  it('goes by the instant, not by the text', () => {
    expect(compareTimestamps('2026-11-22T13:00:00+01:00', '2026-11-22T12:00:00Z')).toBe(0);
    expect(compareTimestamps('2026-11-22T13:00:00+01:00', '2026-11-22T12:30:00Z')).toBeLessThan(0);
    expect(compareTimestamps('2026-11-22T12:00:00.1Z', '2026-11-22T12:00:00.09Z')).toBeGreaterThan(0);
    expect(compareTimestamps('1969-12-31T23:59:59.9Z', '1970-01-01T00:00:00Z')).toBeLessThan(0);
  });
});
