/** Spans of calendar time as policies name them (restic manual, "Removing snapshots according to a policy"). */
import { dateFromDays, DAY_SECONDS, daysFromDate, EngineError } from '@restic-engine/repo-format';
import type { Instant, TimeZone } from '@restic-engine/repo-format';

export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const WHOLE = /^(?:\d{1,9}[ymdh])*$/;
const PART = /(\d+)([ymdh])/g;

/** Reads `1y5m7d2h`, in which `m` are months; of two numbers with one unit the last counts. Throws `bad-request`. */
export function parseSpan(text: string): CalendarSpan {
  const trimmed = text.trim();
  if (!WHOLE.test(trimmed)) {
    throw new EngineError('bad-request', `invalid duration "${text}" (for example 1y5m7d2h)`, { duration: text });
  }
  const found = Object.fromEntries(Array.from(trimmed.matchAll(PART), ([, digits, unit]) => [unit, Number(digits)]));
  const { y: years = 0, m: months = 0, d: days = 0, h: hours = 0 } = found;
  return { years, months, days, hours };
}

/** Years first, nothing that is 0; '' for no time at all. */
export function formatSpan({ years, months, days, hours }: CalendarSpan): string {
  const parts: [number, string][] = [
    [years, 'y'],
    [months, 'm'],
    [days, 'd'],
    [hours, 'h'],
  ];
  return parts.map(([value, unit]) => (value === 0 ? '' : `${value}${unit}`)).join('');
}

/**
 * The seconds since 1970 that lie `span` before an instant: the date is counted back in the zone of the instant, and a
 * day that the month does not have runs on into the next, as with `AddDate` of Go; then hours are taken off.
 *
 * @param local the zone of this machine if the instant was read as being in it; otherwise its offset is all that is known
 */
export function secondsBefore(instant: Instant, span: CalendarSpan, local: TimeZone | undefined): number {
  const shown = instant.seconds + instant.offsetSeconds;
  const { year, month, day } = dateFromDays(Math.floor(shown / DAY_SECONDS));
  const monthsBefore = year * 12 + (month - 1) - span.years * 12 - span.months;
  const newYear = Math.floor(monthsBefore / 12);
  const newDays = daysFromDate(newYear, monthsBefore - newYear * 12 + 1, day) - span.days;
  const newShown = newDays * DAY_SECONDS + (shown - Math.floor(shown / DAY_SECONDS) * DAY_SECONDS);
  // Where clocks were set, this is the one of the possible instants that Go takes.
  const offset = local === undefined ? instant.offsetSeconds : local.offsetAt(newShown - local.offsetAt(newShown));
  return newShown - offset - span.hours * 3600;
}
