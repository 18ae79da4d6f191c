/** Times as restic records them: RFC 3339 with nanoseconds and the local offset, like Go's `time.RFC3339Nano`. */
import { EngineError } from '../errors.ts';
import type { Timestamp } from '../tree/node.ts';
import { DAY_SECONDS, dateFromDays, daysFromDate, daysInMonth } from './calendar.ts';
import type { TimeZone } from './zone.ts';

/** An instant, and the offset it was written with. */
export interface Instant {
  /** Whole seconds since 1970-01-01T00:00:00Z, rounded down. */
  readonly seconds: number;
  /** 0…999,999,999 */
  readonly nanoseconds: number;
  /** Seconds east of UTC. */
  readonly offsetSeconds: number;
}

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

/**
 * Writes an instant as restic does.
 *
 * @param epochSeconds whole seconds since 1970, rounded down
 * @param nanoseconds 0…999,999,999 to be added
 */
export function formatTimestamp(epochSeconds: number, nanoseconds: number, zone: TimeZone): Timestamp {
  const offset = zone.offsetAt(epochSeconds);
  const local = epochSeconds + offset;
  const days = Math.floor(local / DAY_SECONDS);
  const { year, month, day } = dateFromDays(days);
  const timeOfDay = local - days * DAY_SECONDS;
  if (year < 0 || year > 9999) {
    // JSON has four digits for the year. restic keeps the other fields, so the offset is the one of the new date.
    const clamped = daysFromDate(year < 0 ? 0 : 9999, month, day) * DAY_SECONDS + timeOfDay;
    return formatTimestamp(fromLocal(clamped, zone), nanoseconds, zone);
  }
  const minutes = Math.floor(timeOfDay / 60);
  return (
    `${twoDigits(Math.floor(year / 100))}${twoDigits(year % 100)}-${twoDigits(month)}-${twoDigits(day)}` +
    `T${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}:${twoDigits(timeOfDay % 60)}` +
    formatFraction(nanoseconds) +
    formatOffset(offset)
  );
}

function twoDigits(value: number): string {
  return TWO_DIGITS[value] ?? '';
}

/** The instant at which clocks in `zone` show `local`, read as seconds since 1970 in UTC; Go's choice in doubt. */
function fromLocal(local: number, zone: TimeZone): number {
  return local - zone.offsetAt(local - zone.offsetAt(local));
}

function formatFraction(nanoseconds: number): string {
  if (nanoseconds === 0) return '';
  let digits = nanoseconds;
  let width = 9;
  while (digits % 10 === 0) {
    digits /= 10;
    width--;
  }
  return `.${String(digits).padStart(width, '0')}`;
}

/** Seconds of an offset are cut off, though the digits of the clock include them. */
function formatOffset(offset: number): string {
  if (offset === 0) return 'Z';
  const minutes = Math.trunc(offset / 60);
  const distance = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(distance / 60))}:${twoDigits(distance % 60)}`;
}

const SHAPE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[-+]\d\d:\d\d)$/;

/** Reads a recorded time. Throws `corrupt`. */
export function parseTimestamp(text: Timestamp): Instant {
  if (!SHAPE.test(text)) throw badTimestamp(text);
  const year = digitsAt(text, 0) * 100 + digitsAt(text, 2);
  const month = digitsAt(text, 5);
  const day = digitsAt(text, 8);
  const hour = digitsAt(text, 11);
  const minute = digitsAt(text, 14);
  const second = digitsAt(text, 17);
  const offsetSeconds = parseOffset(text);
  const valid =
    month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month) && hour < 24 && minute < 60 && second < 60;
  if (!valid) throw badTimestamp(text);
  return {
    seconds: daysFromDate(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offsetSeconds,
    nanoseconds: parseFraction(text),
    offsetSeconds,
  };
}

function digitsAt(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 528;
}

function parseFraction(text: string): number {
  let nanoseconds = 0;
  let unit = 100_000_000;
  if (text.charAt(19) !== '.') return 0;
  for (let at = 20; unit >= 1; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    nanoseconds += digit * unit;
    unit /= 10;
  }
  return nanoseconds;
}

function parseOffset(text: string): number {
  if (text.endsWith('Z')) return 0;
  const hours = digitsAt(text, text.length - 5);
  const minutes = digitsAt(text, text.length - 2);
  if (hours >= 24 || minutes >= 60) throw badTimestamp(text);
  const distance = hours * 3600 + minutes * 60;
  return text.charAt(text.length - 6) === '-' ? -distance : distance;
}

function badTimestamp(text: string): EngineError {
  return new EngineError('corrupt', 'not a time of RFC 3339', { time: text.slice(0, 40) });
}

/** Orders instants; the text of equal instants may differ. Throws `corrupt`. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  if (a === b) return 0;
  const first = parseTimestamp(a);
  const second = parseTimestamp(b);
  return first.seconds - second.seconds || first.nanoseconds - second.nanoseconds;
}
