/** When something is due: five fields as crontab(5) has them, in a time zone. */
import { EngineError } from 'restic-engine';

export interface Cron {
  /** The first time after `time`; undefined when there is none in the next nine years. */
  next(time: Date): Date | undefined;
  /** The last time that is not after `time`; undefined when there is none in the last nine years. */
  previous(time: Date): Date | undefined;
}

interface Field {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  /** Three letters each, of the numbers from `first` on. */
  readonly words: string;
}

const FIELDS: readonly Field[] = [
  { name: 'minute', first: 0, last: 59, words: '' },
  { name: 'hour', first: 0, last: 23, words: '' },
  { name: 'day of month', first: 1, last: 31, words: '' },
  { name: 'month', first: 1, last: 12, words: 'janfebmaraprmayjunjulaugsepoctnovdec' },
  // 7 is Sunday, too.
  { name: 'day of week', first: 0, last: 7, words: 'sunmontuewedthufrisat' },
];

const NAMES: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

/** 29 February may be eight years away. */
const DAYS = 9 * 366;
const DAY_MS = 86_400_000;

/** Rejects with `bad-request`, naming the field that is wrong, or the time zone. */
export function parseCron(expression: string, timeZone: string): Cron {
  const text = expression.trim();
  const words = (NAMES[text] ?? text).split(/\s+/);
  if (words.length !== FIELDS.length) {
    throw new EngineError('bad-request', 'a schedule has five fields, or is a name such as @daily', { schedule: text });
  }
  const sets = FIELDS.map((field, at) => parseField(field, words[at] ?? ''));
  const [minutes = none, hours = none, days = none, months = none, weekdays = none] = sets;
  if (weekdays.has(7)) weekdays.add(0);
  const eitherDay = !isStar(words[2]) && !isStar(words[4]);
  const offsetAt = offsets(timeZone);
  const isDue = (day: Date): boolean => {
    if (!months.has(day.getUTCMonth() + 1)) return false;
    const [byMonth, byWeek] = [days.has(day.getUTCDate()), weekdays.has(day.getUTCDay())];
    return eitherDay ? byMonth || byWeek : byMonth && byWeek;
  };
  /** Times of a day of the calendar, ascending. */
  const timesOf = (day: Date): readonly number[] =>
    isDue(day)
      ? [...hours].flatMap((h) => [...minutes].map((m) => instant(day.getTime() + (h * 60 + m) * 60_000, offsetAt)))
      : [];
  // What the calendar shows; time zones are less than a day away.
  const dayOf = (time: Date): number => Math.floor(time.getTime() / DAY_MS);
  return {
    next(time) {
      for (let day = dayOf(time) - 1, end = day + DAYS; day <= end; day++) {
        const found = timesOf(new Date(day * DAY_MS)).find((at) => at > time.getTime());
        if (found !== undefined) return new Date(found);
      }
      return undefined;
    },
    previous(time) {
      for (let day = dayOf(time) + 1, end = day - DAYS; day >= end; day--) {
        const found = timesOf(new Date(day * DAY_MS)).findLast((at) => at <= time.getTime());
        if (found !== undefined) return new Date(found);
      }
      return undefined;
    },
  };
}

const none: Set<number> = new Set();
const isStar = (word = ''): boolean => word.startsWith('*') || word.startsWith('?');

/** Its numbers in ascending order. */
function parseField(field: Field, text: string): Set<number> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:(\*|\?)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) throw wrong(field, part);
    const [, star, from = '', to, step] = match;
    const first = star === undefined ? numberOf(field, from) : field.first;
    const alone = to === undefined && step === undefined;
    const open = star === undefined && alone ? first : lastOf(field);
    const last = to === undefined ? open : numberOf(field, to);
    const by = step === undefined ? 1 : Number(step);
    if (first > last || by < 1) throw wrong(field, part);
    for (let n = first; n <= last; n += by) found.add(n);
  }
  return new Set([...found].toSorted((a, b) => a - b));
}

const lastOf = ({ last }: Field): number => (last === 7 ? 6 : last);

function numberOf(field: Field, word: string): number {
  const at = word.length === 3 ? field.words.indexOf(word.toLowerCase()) : -1;
  const value = at >= 0 && at % 3 === 0 ? at / 3 + field.first : /^\d+$/.test(word) ? Number(word) : Number.NaN;
  if (value >= field.first && value <= field.last) return value;
  throw wrong(field, word);
}

function wrong({ name, first, last }: Field, part: string): EngineError {
  return new EngineError('bad-request', `the ${name} of a schedule is from ${first} to ${last}: ${part} is not`, {
    part,
  });
}

/** What clocks of a time zone show beyond UTC at an instant, in ms. */
function offsets(timeZone: string): (at: number) => number {
  if (timeZone === 'UTC') return () => 0;
  const options = {
    timeZone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
  } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric' } as const;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { ...options, ...time });
  } catch (error) {
    throw new EngineError('bad-request', `there is no time zone ${timeZone}`, { timeZone }, { cause: error });
  }
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
    return shown - Math.floor(at / 1000) * 1000;
  };
}

/**
 * When clocks show `local` (ms as if it were UTC). A time that is shown twice is the first of the two; one that is left out
 * is as much later as clocks are put forward, so that nothing is missed.
 */
function instant(local: number, offsetAt: (at: number) => number): number {
  const [before, after] = [offsetAt(local - DAY_MS), offsetAt(local + DAY_MS)];
  const early = local - before;
  if (offsetAt(early) === before) return early;
  const late = local - after;
  return offsetAt(late) === after ? late : early;
}
