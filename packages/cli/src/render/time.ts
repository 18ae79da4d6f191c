/** Recorded times for people. */

/** `2026-11-22 13:57:09` in the local zone, from RFC 3339. */
export function formatLocalTime(timestamp: string): string {
  const time = new Date(timestamp);
  if (Number.isNaN(time.getTime())) return timestamp;
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${String(time.getFullYear()).padStart(4, '0')}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|([-+]\d\d):(\d\d))$/;

/** `2026-11-22 13:58:09.034143347 +0000 UTC`, all digits and the zone it was written in. */
export function formatExactTime(timestamp: string): string {
  const [all, date, clock, hours, minutes] = RFC_3339.exec(canonicalTime(timestamp)) ?? [];
  if (all === undefined) return timestamp;
  const offset = hours === undefined ? '+0000' : `${hours}${minutes}`;
  return `${date} ${clock} ${offset} ${offset === '+0000' ? 'UTC' : offset}`;
}

/** As Go writes it: programs of others leave noughts at the end of a fraction, or `+00:00` for `Z`. */
export function canonicalTime(timestamp: string): string {
  return timestamp
    .replace(/\.(\d*?)0+(?=\D)/, (_, digits: string) => (digits === '' ? '' : `.${digits}`))
    .replace(/[-+]00:00$/, 'Z');
}
