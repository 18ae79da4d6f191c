/** Which snapshots a policy keeps (restic manual, "Removing snapshots according to a policy"). */
import {
  dateFromDays,
  DAY_SECONDS,
  daysFromDate,
  EngineError,
  parseTimestamp,
  weekday,
} from '@restic-engine/repo-format';
import type { Instant, Snapshot, TimeZone } from '@restic-engine/repo-format';
import { nodePlatform } from '@restic-engine/repository';
import type { Platform } from '@restic-engine/repository';
import { hasTags } from '../find.ts';
import { formatSpan, parseSpan, secondsBefore } from './duration.ts';
import type { CalendarSpan } from './duration.ts';

/** How many to keep; -1 is `unlimited`. */
export type KeepCount = number | 'unlimited';

/**
 * What to keep; a snapshot goes when no rule keeps it. Hours, days, weeks (ISO 8601), months and years are those of
 * the time zone the snapshot was written in. Durations are written `1y5m7d2h`, in which `m` are months, and count
 * from the latest snapshot that is not in the future.
 */
export interface KeepPolicy {
  /** The newest so many. */
  readonly last?: KeepCount | undefined;
  /** The newest of each of so many hours that have a snapshot; likewise below. */
  readonly hourly?: KeepCount | undefined;
  readonly daily?: KeepCount | undefined;
  readonly weekly?: KeepCount | undefined;
  readonly monthly?: KeepCount | undefined;
  readonly yearly?: KeepCount | undefined;
  /** All within this duration. */
  readonly within?: string | undefined;
  /** The newest of each hour within this duration; likewise below. */
  readonly withinHourly?: string | undefined;
  readonly withinDaily?: string | undefined;
  readonly withinWeekly?: string | undefined;
  readonly withinMonthly?: string | undefined;
  readonly withinYearly?: string | undefined;
  /** All that have every tag of at least one of these lists; the list `['']` means snapshots without tags. */
  readonly tags?: readonly (readonly string[])[] | undefined;
}

/** A snapshot that stays, and the rules that keep it, in restic's words: `daily snapshot`, `within 2y`. */
export interface KeptSnapshot<S extends Snapshot = Snapshot> {
  readonly snapshot: S;
  readonly reasons: readonly string[];
}

/** Both newest first. */
export interface PolicyResult<S extends Snapshot = Snapshot> {
  readonly keep: readonly KeptSnapshot<S>[];
  readonly remove: readonly S[];
}

interface Candidate {
  readonly snapshot: Snapshot;
  readonly time: Instant;
  /** 0 for the newest. */
  readonly position: number;
  readonly isOldest: boolean;
}

/** Why it keeps the candidate. Rules that count must be asked about every one, newest first. */
type Rule = (candidate: Candidate) => string | undefined;

/** Candidates of one value belong together. */
type Bucket = (candidate: Candidate) => number;

const COUNTED: readonly { readonly key: CountKey; readonly bucket: Bucket; readonly name: string }[] = [
  { key: 'last', bucket: ({ position }) => position, name: 'last' },
  { key: 'hourly', bucket: hourOf, name: 'hourly' },
  { key: 'daily', bucket: dayOf, name: 'daily' },
  { key: 'weekly', bucket: weekOf, name: 'weekly' },
  { key: 'monthly', bucket: monthOf, name: 'monthly' },
  { key: 'yearly', bucket: yearOf, name: 'yearly' },
];
type CountKey = 'last' | 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

const SPANNED: readonly { readonly key: SpanKey; readonly bucket: Bucket; readonly name: string }[] = [
  { key: 'withinHourly', bucket: hourOf, name: 'hourly' },
  { key: 'withinDaily', bucket: dayOf, name: 'daily' },
  { key: 'withinWeekly', bucket: weekOf, name: 'weekly' },
  { key: 'withinMonthly', bucket: monthOf, name: 'monthly' },
  { key: 'withinYearly', bucket: yearOf, name: 'yearly' },
];
type SpanKey = 'withinHourly' | 'withinDaily' | 'withinWeekly' | 'withinMonthly' | 'withinYearly';

/**
 * Divides snapshots, which should belong together, into those a policy keeps and the others. Nothing else happens: no
 * snapshot is read or removed. The oldest snapshot counts as one more period as long as a rule has some left.
 * Of snapshots of the same time the first given counts as the newest. An empty policy keeps none.
 *
 * Throws `bad-request` for counts and durations that are none, `corrupt` for a snapshot whose time is none.
 *
 * @param platform tells what is in the future, and the zone in which durations are counted back
 *
 * @example
 * ```ts
 * const { keep, remove } = applyPolicy(snapshots, { daily: 7, weekly: 4, within: '2d' });
 * ```
 */
export function applyPolicy<S extends Snapshot>(
  snapshots: readonly S[],
  policy: KeepPolicy,
  platform: Pick<Platform, 'now' | 'zone'> = nodePlatform(),
): PolicyResult<S> {
  const timed = snapshots.map((snapshot) => ({ snapshot, time: parseTimestamp(snapshot.time) }));
  timed.sort((a, b) => compareInstants(b.time, a.time));
  const rules = rulesOf(policy, latestOf(timed, platform));
  const keep: KeptSnapshot<S>[] = [];
  const remove: S[] = [];
  for (const [position, { snapshot, time }] of timed.entries()) {
    const isOldest = position === timed.length - 1;
    const reasons = rules.flatMap((rule) => rule({ snapshot, time, position, isOldest }) ?? []);
    if (reasons.length > 0) keep.push({ snapshot, reasons });
    else remove.push(snapshot);
  }
  return { keep, remove };
}

/** Is there no rule at all? Throws `bad-request` for counts and durations that are none. */
export function isEmptyPolicy(policy: KeepPolicy): boolean {
  return rulesOf(policy, { time: ZERO_TIME, local: undefined }).length === 0;
}

interface Latest {
  readonly time: Instant;
  /** The zone of this machine, if the time was written in it. */
  readonly local: TimeZone | undefined;
}

/** Go's zero time, the latest where every snapshot is in the future: all are within any duration from it. */
const ZERO_TIME: Instant = { seconds: daysFromDate(1, 1, 1) * DAY_SECONDS, nanoseconds: 0, offsetSeconds: 0 };

function latestOf(
  newestFirst: readonly { readonly snapshot: Snapshot; readonly time: Instant }[],
  { now, zone }: Pick<Platform, 'now' | 'zone'>,
): Latest {
  const present: Instant = { ...now(), offsetSeconds: 0 };
  const latest = newestFirst.find(({ time }) => compareInstants(time, present) < 0);
  if (latest === undefined || compareInstants(latest.time, ZERO_TIME) <= 0)
    return { time: ZERO_TIME, local: undefined };
  const { snapshot, time } = latest;
  // Go takes a time for a local one if the offset fits, unless it was written as UTC.
  const isLocal = !snapshot.time.endsWith('Z') && zone.offsetAt(time.seconds) === time.offsetSeconds;
  return { time, local: isLocal ? zone : undefined };
}

/** In the order in which restic tells reasons. */
function rulesOf(policy: KeepPolicy, latest: Latest): Rule[] {
  const rules = (policy.tags ?? []).map(tagRule);
  const within = spanOf(policy.within);
  if (within !== undefined) rules.push(withinRule(latest, within));
  for (const { key, bucket, name } of COUNTED) {
    const count = countOf(policy[key], key);
    if (count > 0) rules.push(countRule(bucket, count, `${name} snapshot`));
  }
  for (const { key, bucket, name } of SPANNED) {
    const span = spanOf(policy[key]);
    if (span !== undefined) rules.push(bucketWithinRule(bucket, latest, span, name));
  }
  return rules;
}

function countOf(count: KeepCount | undefined, key: string): number {
  if (count === undefined) return 0;
  if (count === 'unlimited' || count === -1) return Infinity;
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new EngineError('bad-request', `the number of snapshots to keep must be at least 0, or 'unlimited'`, { key });
}

function spanOf(text: string | undefined): CalendarSpan | undefined {
  const span = parseSpan(text ?? '');
  return formatSpan(span) === '' ? undefined : span;
}

function tagRule(list: readonly string[]): Rule {
  return ({ snapshot }) => (hasTags(snapshot, list) ? `has tags [${list.join(', ')}]` : undefined);
}

function withinRule(latest: Latest, span: CalendarSpan): Rule {
  const isWithin = newerThan(latest, span);
  return ({ time }) => (isWithin(time) ? `within ${formatSpan(span)}` : undefined);
}

function countRule(bucket: Bucket, count: number, name: string): Rule {
  const isFirst = firstOfEach(bucket);
  let left = count;
  return (candidate) => {
    if (left <= 0) return undefined;
    const first = isFirst(candidate);
    if (!first && !candidate.isOldest) return undefined;
    left -= 1;
    return first ? name : `oldest ${name}`;
  };
}

function bucketWithinRule(bucket: Bucket, latest: Latest, span: CalendarSpan, name: string): Rule {
  const isFirst = firstOfEach(bucket);
  const isWithin = newerThan(latest, span);
  return (candidate) => {
    if (!isWithin(candidate.time)) return undefined;
    const first = isFirst(candidate);
    if (!first && !candidate.isOldest) return undefined;
    return `${first ? '' : 'oldest '}${name} within ${formatSpan(span)}`;
  };
}

/** Is the candidate in another bucket than the one that was asked about before? */
function firstOfEach(bucket: Bucket): (candidate: Candidate) => boolean {
  let before: number | undefined;
  return (candidate) => {
    const value = bucket(candidate);
    const isFirst = value !== before;
    before = value;
    return isFirst;
  };
}

function newerThan({ time, local }: Latest, span: CalendarSpan): (time: Instant) => boolean {
  const limit: Instant = { ...time, seconds: secondsBefore(time, span, local) };
  return (candidate) => compareInstants(candidate, limit) > 0;
}

function compareInstants(a: Instant, b: Instant): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** Days since 1970 on the calendar where the snapshot was made. */
function dayOf({ time }: Candidate): number {
  return Math.floor((time.seconds + time.offsetSeconds) / DAY_SECONDS);
}

function hourOf({ time }: Candidate): number {
  return Math.floor((time.seconds + time.offsetSeconds) / 3600);
}

/** Weeks since one that began on a Monday: ISO 8601 numbers them, but what matters is where they begin. */
function weekOf(candidate: Candidate): number {
  const days = dayOf(candidate);
  return (days - ((weekday(days) + 6) % 7)) / 7;
}

function monthOf(candidate: Candidate): number {
  const { year, month } = dateFromDays(dayOf(candidate));
  return year * 12 + month;
}

function yearOf(candidate: Candidate): number {
  return dateFromDays(dayOf(candidate)).year;
}
