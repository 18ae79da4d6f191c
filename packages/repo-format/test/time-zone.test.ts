import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTimestamp } from '../src/time/timestamp.ts';
import { parseTzif, UTC, zoneFiles } from '../src/time/zone.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 1000 };
const corrupt = expect.objectContaining({ name: 'EngineError', code: 'corrupt' });

interface ZoneFixture {
  readonly version?: 0 | 2 | 3 | 4;
  /** Offset in seconds, is it daylight saving time? */
  readonly types: readonly (readonly [number, boolean])[];
  /** Seconds since 1970, index of the type. */
  readonly transitions?: readonly (readonly [number, number])[];
  readonly footer?: string;
}

/** A TZif file as RFC 9636 §3 describes it; its 32-bit part is empty but for version 1. */
function tzif({ version = 2, types, transitions = [], footer = '' }: ZoneFixture): Uint8Array {
  const versionByte = version === 0 ? 0 : 0x30 + version;
  if (version === 0) return block(versionByte, types, transitions, 4);
  const empty = block(versionByte, [[0, false]], [], 4);
  const full = block(versionByte, types, transitions, 8);
  return Buffer.concat([empty, full, Buffer.from(`\n${footer}\n`)]);
}

function block(
  version: number,
  types: ZoneFixture['types'],
  transitions: readonly (readonly [number, number])[],
  timeBytes: 4 | 8,
): Buffer {
  const header = Buffer.alloc(44);
  header.write('TZif');
  header[4] = version;
  header.writeUInt32BE(transitions.length, 32);
  header.writeUInt32BE(types.length, 36);
  header.writeUInt32BE(4, 40);
  const times = Buffer.alloc(transitions.length * timeBytes);
  for (const [index, [time]] of transitions.entries()) {
    if (timeBytes === 8) times.writeBigInt64BE(BigInt(time), index * 8);
    else times.writeInt32BE(time, index * 4);
  }
  const typeBytes = Buffer.alloc(types.length * 6);
  for (const [index, [offset, isDaylightSaving]] of types.entries()) {
    typeBytes.writeInt32BE(offset, index * 6);
    typeBytes[index * 6 + 4] = isDaylightSaving ? 1 : 0;
  }
  return Buffer.concat([
    header,
    times,
    Buffer.from(transitions.map(([, type]) => type)),
    typeBytes,
    Buffer.from('ABC\0'),
  ]);
}

/** Amsterdam from 1835 to 1937, reduced to what the instants below need: local mean time +0:19:32, and +1:19:32 in summer. */
const AMSTERDAM = tzif({
  types: [
    [1172, false],
    [4772, true],
  ],
  transitions: [
    [-1504656000, 1],
    [-1491093572, 0],
  ],
  footer: 'CET-1CEST,M3.5.0,M10.5.0/3',
});

describe('zone files', () => {
  it('have offsets with seconds, which a written time cuts off', () => {
    const zone = parseTzif(AMSTERDAM);
    expect(formatTimestamp(-1500000000, 0, zone)).toBe('1922-06-20T22:39:32+01:19');
    expect(zone.offsetAt(-1504656001)).toBe(1172);
    expect(zone.offsetAt(-1504656000)).toBe(4772);
    expect(zone.offsetAt(-1491093573)).toBe(4772);
    expect(zone.offsetAt(-1e12)).toBe(1172);
  });

  it('go by their footer after the last transition', () => {
    const zone = parseTzif(AMSTERDAM);
    // 2026-03-29 and 2026-10-25, 01:00 UTC each.
    expect([1774745999, 1774746000, 1792889999, 1792890000].map((time) => zone.offsetAt(time))).toEqual([
      3600, 7200, 7200, 3600,
    ]);
  });

  it('keep the last offset without a footer, or with one that is no rule', () => {
    for (const footer of ['', 'nonsense', 'CET-1CEST,M13.5.0,M10.5.0/3', 'CET-1CEST,M3.5.0', 'AB1']) {
      const zone = parseTzif(
        tzif({
          types: [
            [3600, false],
            [7200, true],
          ],
          transitions: [[0, 1]],
          footer,
        }),
      );
      expect(zone.offsetAt(4e9)).toBe(7200);
    }
  });

  it('of version 1 have 32-bit times', () => {
    const zone = parseTzif(
      tzif({
        version: 0,
        types: [
          [0, false],
          [3600, false],
        ],
        transitions: [[-5, 1]],
      }),
    );
    expect([zone.offsetAt(-6), zone.offsetAt(-5), zone.offsetAt(4e9)]).toEqual([0, 3600, 3600]);
  });

  it.each([2, 3, 4] as const)('of version %i may have no transitions', (version) => {
    const zone = parseTzif(tzif({ version, types: [[20700, false]], footer: '<+0545>-5:45' }));
    expect([zone.offsetAt(-1e10), zone.offsetAt(1e10)]).toEqual([20700, 20700]);
  });

  it.each([
    [
      'type 0 when no transition leads to it',
      [
        [10, true],
        [20, false],
        [30, false],
      ],
      [[0, 1]],
      10,
    ],
    [
      'else the standard time before the first type, if that is summer time',
      [
        [10, false],
        [20, false],
        [30, true],
      ],
      [
        [0, 2],
        [9, 0],
      ],
      20,
    ],
    [
      'else the first standard time',
      [
        [10, true],
        [20, false],
        [30, false],
      ],
      [
        [0, 2],
        [9, 0],
      ],
      20,
    ],
    [
      'else type 0',
      [
        [10, true],
        [20, true],
      ],
      [
        [0, 1],
        [9, 0],
      ],
      10,
    ],
  ] as const)('begin as in Go with %s', (_rule, types, transitions, offset) => {
    expect(parseTzif(tzif({ types, transitions })).offsetAt(-1)).toBe(offset);
  });

  it('cut short anywhere before the footer, are corrupt', () => {
    const footerBytes = 'CET-1CEST,M3.5.0,M10.5.0/3'.length + 2;
    for (let length = 0; length < AMSTERDAM.length - footerBytes; length++) {
      expect(() => parseTzif(AMSTERDAM.subarray(0, length))).toThrow(corrupt);
    }
  });

  it('with any damage are corrupt or a zone', () => {
    const at = fc.nat({ max: AMSTERDAM.length - 1 });
    fc.assert(
      fc.property(at, fc.integer({ min: 0, max: 255 }), fc.integer(), (index, byte, time) => {
        const damaged = Uint8Array.from(AMSTERDAM);
        damaged[index] = byte;
        let offset: number;
        try {
          offset = parseTzif(damaged).offsetAt(time);
        } catch (error) {
          expect(error).toEqual(corrupt);
          return;
        }
        expect(offset).toSatisfy(Number.isInteger);
      }),
      box,
    );
  });
});

describe('rules', () => {
  /** Seconds east of UTC in the year 2000 and later, by another implementation. */
  function intlOffset(zone: string, time: number): number {
    const format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
    const name = format.formatToParts(time * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const [, sign, hours, minutes] = /^GMT(?:([-+])(\d\d):(\d\d))?$/.exec(name) ?? [];
    return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60);
  }

  it.each([
    ['Europe/Amsterdam', 'CET-1CEST,M3.5.0,M10.5.0/3'],
    ['America/New_York', 'EST5EDT,M3.2.0,M11.1.0'],
    ['America/St_Johns', 'NST3:30NDT,M3.2.0,M11.1.0'],
    ['Australia/Sydney', 'AEST-10AEDT,M10.1.0,M4.1.0/3'],
    ['Australia/Lord_Howe', '<+1030>-10:30<+11>-11,M10.1.0,M4.1.0'],
    ['Europe/Dublin', 'IST-1GMT0,M10.5.0,M3.5.0/1'],
    ['Asia/Kolkata', 'IST-5:30'],
    ['Asia/Jerusalem', 'IST-2IDT,M3.4.4/26,M10.5.0'],
  ])('of %s agree with ICU from 2015 to 2037', (name, footer) => {
    const zone = parseTzif(tzif({ types: [[0, false]], transitions: [[0, 0]], footer }));
    fc.assert(
      fc.property(fc.integer({ min: 1420070400, max: 2145916800 }), (time) => {
        expect(zone.offsetAt(time)).toBe(intlOffset(name, time));
      }),
      { ...box, interruptAfterTimeLimit: 500, numRuns: 300 },
    );
  });

  it.each([
    // In leap years day 60 of J60 is March 1, day 59 counted from 0 is February 29.
    ['XXX0YYY,J60/0,J300/0', '2024-03-01T00:00:00Z'],
    ['XXX0YYY,59/0,300/0', '2024-02-29T00:00:00Z'],
    ['XXX0YYY,M2.5.4/-1,M11.1.0', '2024-02-28T23:00:00Z'],
    ['XXX0YYY', '2024-03-10T02:00:00Z'],
  ])('like %s change at %s', (footer, change) => {
    const zone = parseTzif(tzif({ types: [[0, false]], footer }));
    const time = Date.parse(change) / 1000;
    expect([zone.offsetAt(time - 1), zone.offsetAt(time)]).toEqual([0, 3600]);
  });
});

describe.skipIf(!existsSync('/usr/share/zoneinfo/Europe/Amsterdam'))('the zones of this system', () => {
  const load = (name: string) => parseTzif(readFileSync(`/usr/share/zoneinfo/${name}`));

  it('give the times restic 0.19.1 recorded', () => {
    const london = load('Europe/London');
    expect(formatTimestamp(-1, 500_000_000, london)).toBe('1970-01-01T00:59:59.5+01:00');
    expect(formatTimestamp(1625097600, 0, london)).toBe('2021-07-01T01:00:00+01:00');
    expect(formatTimestamp(981173106, 789_000_000, london)).toBe('2001-02-03T04:05:06.789Z');
    expect(formatTimestamp(1795349377, 90_877_775, load('Europe/Amsterdam'))).toBe(
      '2026-11-22T13:09:37.090877775+01:00',
    );
    expect(formatTimestamp(-2, 500_000_000, load('Australia/Lord_Howe'))).toBe('1970-01-01T09:59:58.5+10:00');
  });
});

describe('the local zone', () => {
  it('follows TZ as Go does on Unix', () => {
    expect(zoneFiles(undefined)).toEqual(['/etc/localtime']);
    for (const utc of ['', ':', 'UTC', ':UTC']) expect(zoneFiles(utc)).toEqual([]);
    expect(zoneFiles(':/etc/zone')).toEqual(['/etc/zone']);
    expect(zoneFiles('Europe/Paris')[0]).toBe('/usr/share/zoneinfo/Europe/Paris');
    expect(zoneFiles(':Europe/Paris')).toEqual(zoneFiles('Europe/Paris'));
    expect(UTC.offsetAt(1e9)).toBe(0);
  });
});
