/** Requests as Apache's "combined" log format writes them, which many programs read. */
import type { RequestRecord } from '@restic-engine/rest-server';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** One line, without its end. `now` is when the request was over. */
export function accessLogLine(record: RequestRecord, now: Date): string {
  const { remote, user, method, target, status, bytesSent, referrer, userAgent } = record;
  const request = `${method} ${target} HTTP/1.1`;
  const fields = [remote || '-', '-', plain(user) || '-', `[${stamp(now)}]`, quoted(request)];
  return [...fields, status, bytesSent, quoted(referrer ?? ''), quoted(userAgent ?? '')].join(' ');
}

/** `22/Nov/2026:17:03:09 +0000` */
function stamp(date: Date): string {
  const [day, time = ''] = date.toISOString().split('T');
  const [year, month, dayOfMonth] = (day ?? '').split('-');
  return `${dayOfMonth}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}

/** Nobody writes lines of his own into the log. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replace(/[\u0000-\u0020"\\\u007f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function quoted(text: string): string {
  return `"${text.split(' ').map(plain).join(' ')}"`;
}
