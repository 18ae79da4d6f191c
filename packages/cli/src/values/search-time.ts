/** The times that `find --oldest` and `--newest` take. */
import { InvalidValue } from '../failure.ts';

const SHAPE = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d:\d\d)(?:(:\d\d)(?: (?:([-+]\d\d)(\d\d)|UTC))?)?)?$/;
const GERMAN_DATE = /^(\d\d)\.(\d\d)\.(\d{4})(?= |$)/;

/**
 * `2024-01-31` or `31.01.2024`, then perhaps ` 15:04`, `:05` and a zone such as ` -0700` or ` UTC`; without a zone in the
 * local one. The result is RFC 3339 in UTC.
 */
export function parseSearchTime(text: string): string {
  const [all, year, month, day, clock = '00:00', seconds = ':00', hours, minutes] =
    SHAPE.exec(text.replace(GERMAN_DATE, '$3-$2-$1')) ?? [];
  if (all === undefined) throw new InvalidValue(`unable to parse time: "${text}" (for example 2012-11-01 22:08:41)`);
  const zone = all.endsWith('UTC') ? 'Z' : hours === undefined ? '' : `${hours}:${minutes}`;
  const time = new Date(`${year}-${month}-${day}T${clock}${seconds}${zone}`);
  // `Date` takes the 31st of a shorter month for a day of the next one.
  const isReal = Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number.isNaN(time.getTime()) || !isReal) throw new InvalidValue(`there is no time "${text}"`);
  return time.toISOString();
}
