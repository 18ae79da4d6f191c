/** Points in time as files of a repository write them. */
import { formatTimestamp } from '@restic-engine/repo-format';
import type { Timestamp } from '@restic-engine/repo-format';
import type { Instant, Platform } from './platform.ts';

/** `instant`, or now, in the platform's zone. */
export function formatInstant(platform: Platform, instant: Instant = platform.now()): Timestamp {
  return formatTimestamp(instant.seconds, instant.nanoseconds, platform.zone);
}
