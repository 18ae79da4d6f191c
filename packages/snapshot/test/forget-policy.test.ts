import type { Snapshot, TimeZone } from '@restic-engine/repo-format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSpan, parseSpan, secondsBefore } from '../src/forget/duration.ts';
import { applyPolicy } from '../src/forget/policy.ts';
import type { KeepPolicy } from '../src/forget/policy.ts';

const LIMITS = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false } as const;
const UTC: TimeZone = { offsetAt: () => 0 };
const NOW = { now: () => ({ seconds: Date.parse('2026-11-22T12:00:00Z') / 1000, nanoseconds: 0 }), zone: UTC };

function at(time: string, more: Partial<Snapshot> = {}): Snapshot {
  return { time, tree: 'a'.repeat(64), paths: ['/srv'], ...more };
}

/** `time → reasons` of what is kept; times alone of what goes. */
function verdict(times: readonly (string | Snapshot)[], policy: KeepPolicy, platform = NOW): [object, string[]] {
  const snapshots = times.map((time) => (typeof time === 'string' ? at(time) : time));
  const { keep, remove } = applyPolicy(snapshots, policy, platform);
  return [
    Object.fromEntries(keep.map(({ snapshot, reasons }) => [snapshot.time, reasons])),
    remove.map(({ time }) => time),
  ];
}

describe('a policy', () => {
  it('keeps the newest of each period, and the oldest of all while periods are left', () => {
    const times = ['2024-01-01T08:00:00Z', '2024-01-01T09:00:00Z', '2024-01-02T08:00:00Z', '2024-01-02T09:00:00Z'];
    expect(verdict(times, { daily: 2 })).toEqual([
      { '2024-01-02T09:00:00Z': ['daily snapshot'], '2024-01-01T09:00:00Z': ['daily snapshot'] },
      ['2024-01-02T08:00:00Z', '2024-01-01T08:00:00Z'],
    ]);
    expect(verdict(times, { daily: 3 })).toEqual([
      {
        '2024-01-02T09:00:00Z': ['daily snapshot'],
        '2024-01-01T09:00:00Z': ['daily snapshot'],
        '2024-01-01T08:00:00Z': ['oldest daily snapshot'],
      },
      ['2024-01-02T08:00:00Z'],
    ]);
    expect(verdict(times, { last: 1, yearly: 'unlimited' })).toEqual([
      {
        '2024-01-02T09:00:00Z': ['last snapshot', 'yearly snapshot'],
        '2024-01-01T08:00:00Z': ['oldest yearly snapshot'],
      },
      ['2024-01-02T08:00:00Z', '2024-01-01T09:00:00Z'],
    ]);
    expect(verdict(times, { yearly: -1 })).toEqual(verdict(times, { yearly: 'unlimited' }));
    expect(verdict(times, {})).toEqual([{}, times.toReversed()]);
    expect(verdict([], { last: 1 })).toEqual([{}, []]);
  });

  it('reads hours, days and years off the clock where the snapshot was made', () => {
    // One hour apart, and on either side of midnight in one of the zones.
    const [evening, night] = ['2024-12-31T23:30:00+01:00', '2025-01-01T00:30:00+01:00'];
    expect(verdict([evening, night, '2020-01-01T00:00:00Z'], { yearly: 2 })[1]).toEqual(['2020-01-01T00:00:00Z']);
    const [early, late] = ['2024-12-31T22:30:00Z', '2024-12-31T23:30:00Z'];
    expect(verdict([early, late, '2020-01-01T00:00:00Z'], { yearly: 2 })[1]).toEqual([early]);
    // The same hour on two clocks is the same hour.
    expect(
      verdict(['2024-05-05T10:59:00+02:00', '2024-05-05T10:01:00Z', '2020-01-01T00:00:00Z'], { hourly: 2 })[1],
    ).toEqual(['2024-05-05T10:59:00+02:00']);
  });

  it('counts weeks as ISO 8601 does, across years', () => {
    // 2020-W53 is Monday 28 December to Sunday 3 January.
    const week = ['2020-12-28T00:00:00Z', '2020-12-31T12:00:00Z', '2021-01-03T23:59:59Z'];
    const [before, after] = ['2020-12-27T23:59:59Z', '2021-01-04T00:00:00Z'];
    expect(verdict([...week, before, after, '2000-01-01T00:00:00Z'], { weekly: 3 })).toEqual([
      { [after]: ['weekly snapshot'], '2021-01-03T23:59:59Z': ['weekly snapshot'], [before]: ['weekly snapshot'] },
      ['2020-12-31T12:00:00Z', '2020-12-28T00:00:00Z', '2000-01-01T00:00:00Z'],
    ]);
  });

  it('keeps what is within a duration of the latest that is not in the future, to the nanosecond', () => {
    const latest = '2026-03-31T10:00:00Z';
    // One month before 31 March is 31 February, which is 3 March.
    const [limit, beyond] = ['2026-03-03T10:00:00Z', '2026-03-03T10:00:00.000000001Z'];
    expect(verdict([latest, limit, beyond, '2027-01-01T00:00:00Z'], { within: '1m' })).toEqual([
      { '2027-01-01T00:00:00Z': ['within 1m'], [latest]: ['within 1m'], [beyond]: ['within 1m'] },
      [limit],
    ]);
    expect(verdict([latest, beyond, limit], { withinMonthly: '2h30d' })[0]).toEqual({
      [latest]: ['monthly within 30d2h'],
      [limit]: ['oldest monthly within 30d2h'],
    });
    // All in the future: nothing is old.
    expect(verdict(['2030-01-01T00:00:00Z', '2031-01-01T00:00:00Z'], { within: '1h' })[1]).toEqual([]);
    expect(verdict([latest], { within: '0h' })[1]).toEqual([latest]);
  });

  it('counts back on the local calendar where the latest snapshot was written in the local zone', () => {
    // Clocks were set forth on 29 March 2026: a day before noon of the 30th is noon, 23 hours earlier of the 29th ...
    const berlin: TimeZone = {
      offsetAt: (seconds) => (seconds < Date.parse('2026-03-29T01:00:00Z') / 1000 ? 3600 : 7200),
    };
    const latest = '2026-03-29T12:00:00+02:00';
    const between = '2026-03-28T11:30:00+01:00';
    // ... so noon of the 28th was 23 hours before noon of the 29th there, and 24 by the offset alone.
    expect(verdict([latest, between], { within: '1d' }, { ...NOW, zone: berlin })[1]).toEqual([between]);
    expect(verdict([latest, between], { within: '1d' })[1]).toEqual([]);
  });

  it('keeps by tags, whatever else there is', () => {
    const a = at('2024-01-03T00:00:00Z', { tags: ['a', 'b'] });
    const none = at('2024-01-02T00:00:00Z');
    const b = at('2024-01-01T00:00:00Z', { tags: ['b'] });
    expect(verdict([a, none, b], { tags: [['b', 'a'], ['a']] })).toEqual([
      { [a.time]: ['has tags [b, a]', 'has tags [a]'] },
      [none.time, b.time],
    ]);
    expect(verdict([a, none, b], { tags: [['']] })).toEqual([{ [none.time]: ['has tags []'] }, [a.time, b.time]]);
  });

  it('refuses counts and durations that are none', () => {
    for (const last of [-2, 1.5, Number.NaN]) {
      expect(() => applyPolicy([], { last }, NOW)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    }
    for (const within of ['1', 'x', '1x', '-1d', '1d -2h', '1.5d', '1 d', '1234567890h']) {
      expect(() => applyPolicy([], { within }, NOW)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    }
    expect(() => applyPolicy([at('yesterday')], { last: 1 }, NOW)).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });
});

const times = fc
  .date({ min: new Date('2019-12-01'), max: new Date('2026-01-31'), noInvalidDate: true })
  .map((date) => `${date.toISOString().slice(0, 14)}00:00Z`);
const count = fc.oneof(fc.nat(6), fc.constant('unlimited' as const));
const policies: fc.Arbitrary<KeepPolicy> = fc.record({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
});

describe('any policy', () => {
  it('puts every snapshot on one side, keeps the newest, and keeps no more when asked for less', () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 40 }), policies, (list, policy) => {
        const snapshots = list.map((time) => at(time));
        const { keep, remove } = applyPolicy(snapshots, policy, NOW);
        const kept = keep.map(({ snapshot }) => snapshot);
        expect(new Set([...kept, ...remove])).toEqual(new Set(snapshots));
        expect(kept.length + remove.length).toBe(snapshots.length);
        for (const { reasons } of keep) expect(reasons.length).toBeGreaterThan(0);
        const isEmpty = Object.values(policy).every((value) => value === 0);
        if (!isEmpty) expect(kept[0]?.time).toBe(list.toSorted().at(-1));
        const { keep: fewer } = applyPolicy(snapshots, { ...policy, daily: 0 }, NOW);
        for (const { snapshot } of fewer) expect(kept).toContain(snapshot);
      }),
      LIMITS,
    );
  });

  it('keeps all that it kept when it is applied again', () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 40 }), policies, (list, policy) => {
        const { keep } = applyPolicy(
          list.map((time) => at(time)),
          policy,
          NOW,
        );
        const again = applyPolicy(
          keep.map(({ snapshot }) => snapshot),
          policy,
          NOW,
        );
        expect(again.remove).toEqual([]);
      }),
      LIMITS,
    );
  });
});

describe('spans of time', () => {
  it('are read in any order and written from years to hours', () => {
    expect(formatSpan(parseSpan(' 2h7d5m1y '))).toBe('1y5m7d2h');
    expect(formatSpan(parseSpan('3d0y4d'))).toBe('4d');
    expect(formatSpan(parseSpan(''))).toBe('');
  });

  it('are counted back as `Date` counts them where it can', () => {
    const part = fc.nat(50);
    fc.assert(
      fc.property(times, part, part, part, part, (time, years, months, days, hours) => {
        const date = new Date(time);
        const instant = { seconds: date.getTime() / 1000, nanoseconds: 0, offsetSeconds: 0 };
        const expected = Date.UTC(
          date.getUTCFullYear() - years,
          date.getUTCMonth() - months,
          date.getUTCDate() - days,
          date.getUTCHours() - hours,
        );
        expect(secondsBefore(instant, { years, months, days, hours }, undefined)).toBe(expected / 1000);
      }),
      LIMITS,
    );
  });
});
