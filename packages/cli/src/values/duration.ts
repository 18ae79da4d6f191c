/** Durations in the notation of Go, which restic's flags use. */
import { InvalidValue } from '../failure.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** `5m`, `1h30m`, `1.5s`, or `0`, in milliseconds. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (!WHOLE.test(text)) throw new InvalidValue(`invalid duration "${text}" (for example 30s, 5m, 1h30m)`);
  let total = 0;
  for (const [, digits = '', unit = ''] of text.matchAll(PART)) total += Number(digits) * (UNIT_MS[unit] ?? 0);
  return total;
}
