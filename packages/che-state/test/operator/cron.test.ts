import fc from 'fast-check';
import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { parseCron } from '../../src/operator/cron.ts';

const at = (text: string): Date => new Date(text);
const text = (time: Date | undefined): string | undefined => time?.toISOString().slice(0, 16);
const MINUTE = 60_000;

describe('next and previous', () => {
  it.each([
    ['0 0 * * *', 'UTC', '2026-01-31T00:00', '2026-02-01T00:00', '2026-01-31T00:00'],
    ['@hourly', 'UTC', '2026-01-31T10:59', '2026-01-31T11:00', '2026-01-31T10:00'],
    ['*/15 2-4 * * *', 'UTC', '2026-01-31T04:45', '2026-02-01T02:00', '2026-01-31T04:45'],
    ['30 2 * * mon-fri', 'UTC', '2026-05-01T02:30', '2026-05-04T02:30', '2026-05-01T02:30'],
    // Either day counts when both are limited (crontab(5)).
    ['0 0 13 * 5', 'UTC', '2026-11-09T12:00', '2026-11-13T00:00', '2026-11-06T00:00'],
    ['0 0 */2 * 5', 'UTC', '2026-11-09T12:00', '2026-11-13T00:00', '2026-10-23T00:00'],
    ['0 0 * * 7', 'UTC', '2026-11-23T00:00', '2026-11-29T00:00', '2026-11-22T00:00'],
    ['0 0 29 FEB *', 'UTC', '2026-01-01T00:00', '2028-02-29T00:00', '2024-02-29T00:00'],
    ['0 0 1 1 ?', 'UTC', '2099-06-01T00:00', '2100-01-01T00:00', '2099-01-01T00:00'],
    ['0 12 * * *', 'Asia/Kolkata', '2026-03-01T00:00', '2026-03-01T06:30', '2026-02-28T06:30'],
    ['0 12 * * *', 'Pacific/Kiritimati', '2026-03-01T00:00', '2026-03-01T22:00', '2026-02-28T22:00'],
    // Clocks in Berlin go from 2:00 to 3:00 on 29 March, and from 3:00 to 2:00 on 25 October.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00', '2026-03-29T01:30', '2026-03-28T01:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-03-29T12:00', '2026-03-30T00:30', '2026-03-29T01:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:00', '2026-10-25T00:30', '2026-10-24T00:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30', '2026-10-26T01:30', '2026-10-25T00:30'],
  ])('%s in %s at %s', (expression, zone, now, next, previous) => {
    const cron = parseCron(expression, zone);
    expect([text(cron.next(at(`${now}Z`))), text(cron.previous(at(`${now}Z`)))]).toEqual([next, previous]);
  });

  it('say when there is never one', () => {
    expect(parseCron('0 0 31 2 *', 'UTC').next(at('2026-01-01T00:00Z'))).toBeUndefined();
    expect(parseCron('0 0 31 2 *', 'UTC').previous(at('2026-01-01T00:00Z'))).toBeUndefined();
  });

  const number = (first: number, last: number): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: 1, max: last }).map((step) => `*/${step}`),
      fc.array(fc.integer({ min: first, max: last }), { minLength: 1, maxLength: 3 }).map((list) => list.join(',')),
      fc
        .tuple(fc.integer({ min: first, max: last }), fc.integer({ min: first, max: last }))
        .map(([a, b]) => [Math.min(a, b), Math.max(a, b)].join('-')),
    );

  /** Minute for minute, as the manual of cron describes it. */
  function matches(expression: string, time: Date): boolean {
    const [minute, hour, day, month, weekday] = expression.split(' ') as [string, string, string, string, string];
    const has = (field: string, value: number, first: number): boolean =>
      field.split(',').some((part) => {
        const [range = '', step = '1'] = part.split('/');
        const [low, high] = range === '*' ? [first, 99] : range.split('-').map(Number);
        return value >= low! && value <= (high ?? low!) && (value - low!) % Number(step) === 0;
      });
    const byMonth = has(day, time.getUTCDate(), 1);
    const byWeek = has(weekday, time.getUTCDay(), 0);
    const onDay = day.startsWith('*') || weekday.startsWith('*') ? byMonth && byWeek : byMonth || byWeek;
    return (
      has(minute, time.getUTCMinutes(), 0) &&
      has(hour, time.getUTCHours(), 0) &&
      has(month, time.getUTCMonth() + 1, 1) &&
      onDay
    );
  }

  it('are what looking at every minute finds', () => {
    const field = fc.tuple(number(0, 59), number(0, 23), number(1, 31), number(1, 12), number(0, 6));
    const now = fc.integer({ min: Date.UTC(2020, 0) / MINUTE, max: Date.UTC(2030, 0) / MINUTE });
    fc.assert(
      fc.property(field, now, (fields, minute) => {
        const expression = fields.join(' ');
        const cron = parseCron(expression, 'UTC');
        const start = new Date(minute * MINUTE);
        const next = cron.next(start);
        const last = next === undefined ? minute + 3000 : Math.min(next.getTime() / MINUTE - 1, minute + 3000);
        for (let each = minute + 1; each <= last; each++)
          expect(matches(expression, new Date(each * MINUTE))).toBe(false);
        if (next === undefined) return;
        expect(matches(expression, next)).toBe(true);
        expect(cron.previous(next)).toEqual(next);
        expect(cron.previous(new Date(next.getTime() - 1))?.getTime() ?? 0).toBeLessThanOrEqual(start.getTime());
      }),
      { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false },
    );
  });
});

describe('parseCron', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
  ])('refuses %s', (expression) => {
    expect(() => parseCron(expression, 'UTC')).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
  it.each(['*/0 * * * *', '* * * foo *', '* * * ebm *', '@never', '-1 * * * *', '1.5 * * * *', '1,,2 * * * *'])(
    'refuses %s, too',
    (expression) => {
      expect(() => parseCron(expression, 'UTC')).toThrow(EngineError);
    },
  );
  it('refuses time zones that there are not', () => {
    expect(() => parseCron('@daily', 'Europe/Atlantis')).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});
