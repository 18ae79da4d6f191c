/**
 * Time zones from compiled tz database files. Recorded times carry the offset of the zone they were written in, and
 * trees are hashed, so offsets must be those of Go's `time` package. `Intl` is of no use: it knows no seconds in
 * offsets and simplifies dates before 1970.
 */
import { EngineError } from '../errors.ts';
import { type OffsetPeriod, type PosixRule, parsePosixRule } from './posix-rule.ts';

export interface TimeZone {
  /** Seconds that clocks are ahead of UTC at an instant, given in whole seconds since 1970-01-01T00:00:00Z. */
  offsetAt(epochSeconds: number): number;
  /** What Go calls it where it is the local zone: `Local`, `UTC`, or the name in the environment. */
  readonly name?: string | undefined;
}

export const UTC: TimeZone = { offsetAt: () => 0 };

/** Where Go looks for zone files on Unix, in order. */
const ZONE_FOLDERS = ['/usr/share/zoneinfo/', '/usr/share/lib/zoneinfo/', '/usr/lib/locale/TZ/', '/etc/zoneinfo/'];

/**
 * The files that may hold the local time zone, given the environment variable `TZ` (undefined when it is not set), by
 * Go's rule for Unix. The first file that can be read and parsed counts; without one the zone is UTC.
 */
export function zoneFiles(tz: string | undefined): readonly string[] {
  if (tz === undefined) return ['/etc/localtime'];
  const name = tz.startsWith(':') ? tz.slice(1) : tz;
  if (name === '' || name === 'UTC') return [];
  return name.startsWith('/') ? [name] : ZONE_FOLDERS.map((folder) => folder + name);
}

interface LocalTimeType {
  readonly offset: number;
  readonly isDaylightSaving: boolean;
}

interface TzifData {
  /** Ascending, seconds since 1970. */
  readonly transitions: readonly number[];
  /** For each transition the index of the type that begins there. */
  readonly typeIndexes: readonly number[];
  readonly types: readonly LocalTimeType[];
  readonly rule: PosixRule | undefined;
}

/**
 * Reads a compiled time zone (TZif, RFC 9636, versions 1 to 4); `bytes` stays the caller's. Where the format leaves
 * room, before the first transition and after the last, the zone behaves as in Go. Throws `corrupt`.
 */
export function parseTzif(bytes: Uint8Array): TimeZone {
  const data = readTzif(bytes);
  let period: OffsetPeriod = { from: Infinity, until: -Infinity, offset: 0 };
  return {
    offsetAt(epochSeconds) {
      // The times of one tree tend to be of one season.
      if (epochSeconds < period.from || epochSeconds >= period.until) period = findPeriod(data, epochSeconds);
      return period.offset;
    },
  };
}

function findPeriod(data: TzifData, epochSeconds: number): OffsetPeriod {
  const { transitions, types, rule } = data;
  const passed = countPassed(transitions, epochSeconds);
  if (passed === transitions.length && rule !== undefined) {
    const period = rule(epochSeconds);
    return { ...period, from: Math.max(period.from, transitions.at(-1) ?? -Infinity) };
  }
  const type = passed === 0 ? firstType(data) : types[data.typeIndexes[passed - 1] ?? 0];
  return {
    from: transitions[passed - 1] ?? -Infinity,
    until: transitions[passed] ?? Infinity,
    offset: type?.offset ?? 0,
  };
}

function countPassed(transitions: readonly number[], epochSeconds: number): number {
  let low = 0;
  let high = transitions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((transitions[middle] ?? 0) <= epochSeconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The type before the first transition as Go chooses it: type 0 if no transition leads to it; else, if the first
 * transition starts daylight saving time, the standard time type before its type; else the first standard time type.
 */
function firstType({ typeIndexes, types }: TzifData): LocalTimeType | undefined {
  if (!typeIndexes.includes(0)) return types[0];
  const firstIndex = typeIndexes[0] ?? 0;
  if (types[firstIndex]?.isDaylightSaving) {
    const before = types.slice(0, firstIndex).findLast((type) => !type.isDaylightSaving);
    if (before !== undefined) return before;
  }
  return types.find((type) => !type.isDaylightSaving) ?? types[0];
}

const HEADER_BYTES = 44;
const MAGIC = 0x545a6966;

interface TzifHeader {
  readonly version: number;
  readonly utcIndicators: number;
  readonly standardIndicators: number;
  readonly leapSeconds: number;
  readonly transitions: number;
  readonly types: number;
  readonly abbreviationBytes: number;
}

/** RFC 9636 §3: version 1 data with 32-bit times, then, in later versions, the same again with 64-bit times. */
function readTzif(bytes: Uint8Array): TzifData {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = readHeader(view, 0);
  if (first.version === 0) return readBlock(view, 0, first, 4).data;
  const second = HEADER_BYTES + blockBytes(first, 4);
  const { data, end } = readBlock(view, second, readHeader(view, second), 8);
  return { ...data, rule: readFooter(bytes.subarray(end)) };
}

function readHeader(view: DataView, at: number): TzifHeader {
  if (view.byteLength < at + HEADER_BYTES || view.getUint32(at) !== MAGIC) throw badTzif('header');
  const version = view.getUint8(at + 4);
  // The digits '2' to '4'. What a later version means is unknown.
  if (version !== 0 && (version < 0x32 || version > 0x34)) throw badTzif('version');
  const count = (index: number): number => view.getUint32(at + 20 + 4 * index);
  return {
    version,
    utcIndicators: count(0),
    standardIndicators: count(1),
    leapSeconds: count(2),
    transitions: count(3),
    types: count(4),
    abbreviationBytes: count(5),
  };
}

function blockBytes(header: TzifHeader, timeBytes: number): number {
  return (
    header.transitions * (timeBytes + 1) +
    header.types * 6 +
    header.abbreviationBytes +
    header.leapSeconds * (timeBytes + 4) +
    header.standardIndicators +
    header.utcIndicators
  );
}

function readBlock(view: DataView, at: number, header: TzifHeader, timeBytes: 4 | 8): { data: TzifData; end: number } {
  const start = at + HEADER_BYTES;
  const end = start + blockBytes(header, timeBytes);
  if (end > view.byteLength || header.types === 0) throw badTzif('length');
  const indexes = start + header.transitions * timeBytes;
  const typesAt = indexes + header.transitions;
  const transitions: number[] = [];
  const typeIndexes: number[] = [];
  for (let index = 0; index < header.transitions; index++) {
    const time = start + index * timeBytes;
    const typeIndex = view.getUint8(indexes + index);
    if (typeIndex >= header.types) throw badTzif('type index');
    transitions.push(timeBytes === 8 ? Number(view.getBigInt64(time)) : view.getInt32(time));
    typeIndexes.push(typeIndex);
  }
  const types: LocalTimeType[] = [];
  for (let type = typesAt; type < typesAt + header.types * 6; type += 6) {
    types.push({ offset: view.getInt32(type), isDaylightSaving: view.getUint8(type + 4) !== 0 });
  }
  return { data: { transitions, typeIndexes, types, rule: undefined }, end };
}

/** The rule for instants after the last transition, between two line feeds. */
function readFooter(bytes: Uint8Array): PosixRule | undefined {
  const [, rule] = /^\n(.+)\n$/.exec(new TextDecoder().decode(bytes)) ?? [];
  return rule === undefined ? undefined : parsePosixRule(rule);
}

function badTzif(part: string): EngineError {
  return new EngineError('corrupt', 'not a compiled time zone', { part });
}
