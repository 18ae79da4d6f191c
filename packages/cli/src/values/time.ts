/** The time of a snapshot as `--time` takes it. */
import { InvalidValue } from '../failure.ts';

const LOCAL = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:\d\d)$/;

/** `2012-11-01 22:08:41` in the local zone as restic reads it, an RFC 3339 time, or `now`. */
export function parseTime(text: string): Date {
  if (text === 'now') return new Date();
  const time = RFC_3339.test(text) ? new Date(text) : localTime(text);
  if (time === undefined || Number.isNaN(time.getTime())) {
    throw new InvalidValue(`invalid time "${text}" (for example 2012-11-01 22:08:41)`);
  }
  return time;
}

/** Undefined for another notation and for days that do not exist. */
function localTime(text: string): Date | undefined {
  const fields = LOCAL.exec(text)?.slice(1).map(Number);
  if (fields === undefined) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const time = new Date(year, month - 1, day, hour, minute, second);
  const exists = time.getMonth() === month - 1 && time.getDate() === day && hour < 24 && minute < 60 && second < 60;
  return exists ? time : undefined;
}
