/** Times written by a sample of one, as `--time-template` has it (package `time` of Go, "Constants"). */
import { dateFromDays, DAY_SECONDS, daysFromDate, parseTimestamp, weekday } from '@restic-engine/repo-format';
import type { Timestamp } from '@restic-engine/repo-format';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

interface Moment {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  /** 1…366 */
  readonly yearDay: number;
  readonly weekDay: string;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanoseconds: number;
  /** Seconds east of UTC. */
  readonly offset: number;
}

type Writer = (moment: Moment) => string;

const two = (value: number): string => String(value).padStart(2, '0');
const padded = (value: number, length: number): string => String(value).padStart(length);
const half = ({ hour }: Moment): number => hour % 12 || 12;
const month = (moment: Moment): string => MONTHS[moment.month - 1] ?? '';

/** The parts of a sample, of those that begin alike the longer first. */
const PARTS: readonly (readonly [sample: string, write: Writer])[] = [
  ['January', month],
  ['Jan', (moment) => month(moment).slice(0, 3)],
  ['Monday', ({ weekDay }) => weekDay],
  ['Mon', ({ weekDay }) => weekDay.slice(0, 3)],
  // What a snapshot records has an offset and no name for it.
  ['MST', ({ offset }) => (offset === 0 ? 'UTC' : zone(offset, ''))],
  ['2006', ({ year }) => String(year).padStart(4, '0')],
  ['-07:00', ({ offset }) => zone(offset, ':')],
  ['-0700', ({ offset }) => zone(offset, '')],
  ['-07', ({ offset }) => zone(offset, '').slice(0, 3)],
  ['Z07:00', ({ offset }) => (offset === 0 ? 'Z' : zone(offset, ':'))],
  ['Z0700', ({ offset }) => (offset === 0 ? 'Z' : zone(offset, ''))],
  ['Z07', ({ offset }) => (offset === 0 ? 'Z' : zone(offset, '').slice(0, 3))],
  ['002', ({ yearDay }) => String(yearDay).padStart(3, '0')],
  ['__2', ({ yearDay }) => padded(yearDay, 3)],
  ['01', (moment) => two(moment.month)],
  ['02', ({ day }) => two(day)],
  ['03', (moment) => two(half(moment))],
  ['04', ({ minute }) => two(minute)],
  ['05', ({ second }) => two(second)],
  ['06', ({ year }) => two(year % 100)],
  ['15', ({ hour }) => two(hour)],
  ['_2', ({ day }) => padded(day, 2)],
  ['PM', ({ hour }) => (hour < 12 ? 'AM' : 'PM')],
  ['pm', ({ hour }) => (hour < 12 ? 'am' : 'pm')],
  ['1', (moment) => String(moment.month)],
  ['2', ({ day }) => String(day)],
  ['3', (moment) => String(half(moment))],
  ['4', ({ minute }) => String(minute)],
  ['5', ({ second }) => String(second)],
];

/** A fraction of a second: `.000` has that many digits, `.999` as many as count. */
const FRACTION = /^[.,](0+|9+)(?!\d)/;
/** `_2006` is an underscore before a year; `Jan` and `Mon` are no beginnings of other words. */
const NO_PART = /^(?:_2006|(?:Jan(?!uary)|Mon(?!day))[a-z])/;

/** A time, on the clock where it was recorded, in the way in which `layout` writes Mon Jan 2 15:04:05 -0700 MST 2006. */
export function formatByLayout(layout: string, time: Timestamp): string {
  const moment = momentOf(time);
  let text = '';
  for (let at = 0; at < layout.length; ) {
    const rest = layout.slice(at, at + 16);
    const [fraction = '', digits = ''] = FRACTION.exec(rest) ?? [];
    const part = NO_PART.test(rest) ? undefined : PARTS.find(([sample]) => rest.startsWith(sample));
    if (fraction !== '') text += fractionOf(moment, fraction, digits);
    else text += part === undefined ? rest.charAt(0) : part[1](moment);
    at += fraction.length || part?.[0].length || 1;
  }
  return text;
}

function momentOf(time: Timestamp): Moment {
  const { seconds, nanoseconds, offsetSeconds } = parseTimestamp(time);
  const local = seconds + offsetSeconds;
  const days = Math.floor(local / DAY_SECONDS);
  const clock = local - days * DAY_SECONDS;
  const date = dateFromDays(days);
  return {
    ...date,
    yearDay: days - daysFromDate(date.year, 1, 1) + 1,
    weekDay: DAYS[weekday(days)] ?? '',
    hour: Math.floor(clock / 3600),
    minute: Math.floor(clock / 60) % 60,
    second: clock % 60,
    nanoseconds,
    offset: offsetSeconds,
  };
}

function fractionOf({ nanoseconds }: Moment, sample: string, digits: string): string {
  const all = String(nanoseconds).padStart(9, '0').slice(0, digits.length);
  const shown = digits.startsWith('9') ? all.replace(/0+$/, '') : all;
  return shown === '' ? '' : sample.charAt(0) + shown;
}

function zone(offset: number, separator: string): string {
  const minutes = Math.trunc(Math.abs(offset) / 60);
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${separator}${two(minutes % 60)}`;
}
