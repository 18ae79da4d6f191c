/** The daylight saving rule at the end of a TZif file (POSIX.1-2017 §8.3, "TZ", as extended by RFC 9636 §3.3.1). */
import { DAY_SECONDS, dateFromDays, daysFromDate, daysInMonth, weekday } from './calendar.ts';

/** From `from` up to, not including, `until` (seconds since 1970) clocks are `offset` seconds ahead of UTC. */
export interface OffsetPeriod {
  readonly from: number;
  readonly until: number;
  readonly offset: number;
}

/** Gives the period that holds an instant, exact for its offset; a period may end with a UTC year. */
export type PosixRule = (epochSeconds: number) => OffsetPeriod;

type YearlyDay =
  | { readonly kind: 'julian'; readonly day: number }
  | { readonly kind: 'zero-based'; readonly day: number }
  | { readonly kind: 'month'; readonly month: number; readonly week: number; readonly weekday: number };

/** A change of clocks: a day, and seconds after its midnight by the clock that runs until then. */
interface YearlyChange {
  readonly on: YearlyDay;
  readonly seconds: number;
}

const NAME = '(?:<[^>]+>|[^-0-9<>+,;]{3,})';
const TIME = '[-+]?\\d{1,3}(?::\\d{1,2}(?::\\d{1,2})?)?';
const DAY = '(?:M\\d{1,2}\\.\\d\\.\\d|J?\\d{1,3})';
const RULE = new RegExp(
  `^${NAME}(?<std>${TIME})(?:${NAME}(?<dst>${TIME})?` +
    `(?:[,;](?<startDay>${DAY})(?:/(?<startTime>${TIME}))?,(?<endDay>${DAY})(?:/(?<endTime>${TIME}))?)?` +
    '(?<saves>))?$',
);

/** When a rule names daylight saving time but no days, Go assumes those of the United States. */
const DEFAULT_START = 'M3.2.0';
const DEFAULT_END = 'M11.1.0';
const DEFAULT_TIME = '2';

/** Parses a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; undefined when it is not one, which Go treats as no rule. */
export function parsePosixRule(text: string): PosixRule | undefined {
  const groups = RULE.exec(text)?.groups;
  if (groups?.std === undefined) return undefined;
  // POSIX counts westwards; subtracting from 0 makes no -0.
  const standard = 0 - parseTime(groups.std);
  if (groups.saves === undefined) return () => ({ from: -Infinity, until: Infinity, offset: standard });
  const saving = groups.dst === undefined ? standard + 3600 : 0 - parseTime(groups.dst);
  const start = parseChange(groups.startDay ?? DEFAULT_START, groups.startTime);
  const end = parseChange(groups.endDay ?? DEFAULT_END, groups.endTime);
  if (start === undefined || end === undefined) return undefined;
  return (epochSeconds) => periodOf(epochSeconds, { start, end, standard, saving });
}

function parseTime(text: string): number {
  const [hours = '0', minutes = '0', seconds = '0'] = text.replace(/^[-+]/, '').split(':');
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return text.startsWith('-') ? 0 - total : total;
}

function parseChange(day: string, time: string | undefined): YearlyChange | undefined {
  const on = parseDay(day);
  return on && { on, seconds: parseTime(time ?? DEFAULT_TIME) };
}

function parseDay(text: string): YearlyDay | undefined {
  if (text.startsWith('M')) {
    const [month = 0, week = 0, day = 0] = text.slice(1).split('.').map(Number);
    const valid = month >= 1 && month <= 12 && week >= 1 && week <= 5 && day <= 6;
    return valid ? { kind: 'month', month, week, weekday: day } : undefined;
  }
  const julian = text.startsWith('J');
  const day = Number(julian ? text.slice(1) : text);
  if (day > 365 || (julian && day === 0)) return undefined;
  return { kind: julian ? 'julian' : 'zero-based', day };
}

interface YearlyRule {
  readonly start: YearlyChange;
  readonly end: YearlyChange;
  readonly standard: number;
  readonly saving: number;
}

function periodOf(epochSeconds: number, rule: YearlyRule): OffsetPeriod {
  const { year } = dateFromDays(Math.floor(epochSeconds / DAY_SECONDS));
  const yearStart = daysFromDate(year, 1, 1) * DAY_SECONDS;
  const yearEnd = daysFromDate(year + 1, 1, 1) * DAY_SECONDS;
  const start = changeInYear(year, rule.start) - rule.standard;
  const end = changeInYear(year, rule.end) - rule.saving;
  // South of the equator a year begins and ends with daylight saving time.
  const [first, second, outer, inner] =
    start <= end ? [start, end, rule.standard, rule.saving] : [end, start, rule.saving, rule.standard];
  if (epochSeconds < first) return { from: yearStart, until: Math.min(first, yearEnd), offset: outer };
  if (epochSeconds < second)
    return { from: Math.max(first, yearStart), until: Math.min(second, yearEnd), offset: inner };
  return { from: Math.max(second, yearStart), until: yearEnd, offset: outer };
}

/** Seconds since 1970 of a change, read as if the clocks of that day showed UTC. */
function changeInYear(year: number, change: YearlyChange): number {
  return dayInYear(year, change.on) * DAY_SECONDS + change.seconds;
}

function dayInYear(year: number, day: YearlyDay): number {
  const january = daysFromDate(year, 1, 1);
  switch (day.kind) {
    case 'zero-based':
      return january + day.day;
    case 'julian':
      // February 29 has no number of its own: day 60 is always March 1.
      return january + day.day - 1 + (day.day >= 60 && daysInMonth(year, 2) === 29 ? 1 : 0);
    case 'month': {
      const first = daysFromDate(year, day.month, 1);
      const firstMatch = (day.weekday - weekday(first) + 7) % 7;
      const inMonth = firstMatch + 7 * (day.week - 1);
      // Week 5 means the last one.
      return first + (inMonth < daysInMonth(year, day.month) ? inMonth : inMonth - 7);
    }
  }
}
