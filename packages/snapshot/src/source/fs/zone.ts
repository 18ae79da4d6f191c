/** The time zone of this system. */
import { readFileSync } from 'node:fs';
import { EngineError, parseTzif, type TimeZone, UTC, zoneFiles } from '@restic-engine/repo-format';
import { errorName } from '../../native/system-error.ts';

/**
 * The zone in which a Go program started with `tz` as its environment variable `TZ` would write times: the first zone
 * file that can be read and parsed, UTC without one.
 */
export function systemTimeZone(tz: string | undefined): TimeZone {
  for (const path of zoneFiles(tz)) {
    const zone = readZone(path);
    if (zone !== undefined) return zone;
  }
  return UTC;
}

function readZone(path: string): TimeZone | undefined {
  try {
    return parseTzif(readFileSync(path));
  } catch (error) {
    if (EngineError.is(error, 'corrupt') || errorName(error) !== undefined) return undefined;
    throw error;
  }
}
