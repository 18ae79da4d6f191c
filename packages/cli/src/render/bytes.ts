/** Numbers for people, in restic's words. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** `17 B`, `1.500 KiB`, `2.000 TiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${formatFixed(value, 3)} ${UNITS[unit]}`;
}

/** `0:07`, `12:30`, `1:02:03`. */
export function formatDuration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const two = (value: number): string => String(value).padStart(2, '0');
  const seconds = two(total % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${seconds}` : `${minutes}:${seconds}`;
}

/** Part of a whole as `12.34%`; never more than 100. */
export function formatPercent(done: number, total: number): string {
  return `${formatFixed(Math.min(100, total > 0 ? (100 * done) / total : 0), 2)}%`;
}

/** Like `toFixed`, but what lies in the middle becomes even, as with Go: `0.1875` with three digits is `0.188`, `0.0625` is `0.062`. */
export function formatFixed(value: number, digits: number): string {
  // What lies in the middle has few digits, and what is near it differs from it within these.
  const exact = value.toFixed(20);
  const down = exact.slice(0, exact.indexOf('.') + 1 + digits);
  const isEven = /[02468]$/.test(down);
  return isEven && /^50*$/.test(exact.slice(down.length)) ? down : value.toFixed(digits);
}
