/** Parts and conditions of a GET (RFC 9110 §§13, 14). */
import type { IncomingHttpHeaders } from 'node:http';

/** Both ends are in it. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** Has the client what it asks for already? */
export function isUnchanged(headers: IncomingHttpHeaders, etag: string, mtime: Date): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return tags.trim() === '*' || tagsIn(tags).includes(etag);
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return inSeconds(mtime.getTime()) <= inSeconds(since);
}

/**
 * The part that is asked for: 'whole' without one, and for what is several or not understood, which RFC 9110 §14.2 allows;
 * 'none' when there are no such bytes.
 */
export function partOf(headers: IncomingHttpHeaders, size: number, etag: string, mtime: Date): Part | 'whole' | 'none' {
  const range = headers.range?.replaceAll(' ', '') ?? '';
  const [, last, from, to] = /^bytes=(?:-(\d+)|(\d+)-(\d*))$/.exec(range) ?? [];
  if ((last ?? from) === undefined || !isSame(headers['if-range'], etag, mtime)) return 'whole';
  const start = last === undefined ? Number(from) : Math.max(0, size - Number(last));
  const end = to === undefined || to === '' ? size - 1 : Number(to);
  if (start >= size) return 'none';
  return end < start ? 'whole' : { start, end: Math.min(end, size - 1) };
}

/** `If-Range`: is what the client has a part of this? */
function isSame(condition: unknown, etag: string, mtime: Date): boolean {
  if (typeof condition !== 'string') return true;
  return condition.startsWith('"')
    ? condition === etag
    : inSeconds(Date.parse(condition)) === inSeconds(mtime.getTime());
}

function tagsIn(header: string): string[] {
  return header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
}

function inSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
