/** The `Range` header (RFC 9110 §14), read as restic's server reads it. */
import type { ByteRange } from '@restic-engine/repo-format';

/** `bytes=2-5`: both ends, or from an offset on, or the last so many bytes. */
export type Wanted =
  | { readonly kind: 'whole' }
  | { readonly kind: 'between'; readonly first: number; readonly last: number }
  | { readonly kind: 'last'; readonly bytes: number }
  | { readonly kind: 'invalid' };

const WHOLE: Wanted = { kind: 'whole' };
const INVALID: Wanted = { kind: 'invalid' };

/** Reads the header. Several ranges at once are answered with the whole file, as RFC 9110 §14.2 allows. */
export function parseRange(header: string | undefined): Wanted {
  if (header === undefined) return WHOLE;
  if (!header.startsWith('bytes=')) return INVALID;
  const ranges = header.slice('bytes='.length).split(',');
  const parsed = ranges.map((range) => one(range.trim()));
  if (parsed.some(({ kind }) => kind === 'invalid')) return INVALID;
  return (parsed.length === 1 ? parsed[0] : undefined) ?? WHOLE;
}

function one(range: string): Wanted {
  const [, from = '', to = ''] = /^(\d*)-(\d*)$/.exec(range) ?? [];
  if (from === '') return to === '' ? INVALID : { kind: 'last', bytes: Number(to) };
  const first = Number(from);
  const last = to === '' ? Number.POSITIVE_INFINITY : Number(to);
  return { kind: 'between', first, last };
}

/** Clips a range to a file of `size` bytes; undefined when they have no byte in common. */
export function clip(wanted: Wanted, size: number): ByteRange | undefined {
  if (wanted.kind === 'whole') return { offset: 0, length: size };
  if (wanted.kind === 'last') {
    const length = Math.min(wanted.bytes, size);
    return { offset: size - length, length };
  }
  if (wanted.kind === 'invalid' || wanted.first >= size || wanted.last < wanted.first) return undefined;
  return { offset: wanted.first, length: Math.min(wanted.last, size - 1) - wanted.first + 1 };
}
