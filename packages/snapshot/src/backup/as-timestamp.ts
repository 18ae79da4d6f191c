/** Times that callers give, as files of a repository write them. */
import { EngineError, formatTimestamp, parseTimestamp } from '@restic-engine/repo-format';
import type { Timestamp } from '@restic-engine/repo-format';
import type { Platform } from '@restic-engine/repository';

/** A date in the zone of the platform, a text as it is. Throws `bad-request` for what nobody could read again. */
export function asTimestamp(time: Date | Timestamp, platform: Platform): Timestamp {
  const text = typeof time === 'string' ? time : formatDate(time, platform);
  try {
    parseTimestamp(text);
    return text;
  } catch (cause) {
    throw new EngineError('bad-request', 'not a time that can be recorded', { time: text }, { cause });
  }
}

function formatDate(date: Date, platform: Platform): Timestamp {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return formatTimestamp(seconds, (ms - seconds * 1000) * 1_000_000, platform.zone);
}
