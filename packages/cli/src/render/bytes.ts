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
  return `${value.toFixed(3)} ${UNITS[unit]}`;
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
  return `${Math.min(100, total > 0 ? (100 * done) / total : 0).toFixed(2)}%`;
}
