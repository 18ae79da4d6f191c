/** Values as one line of JSON. */

/**
 * JSON with uint64 values exact (they are bigint where a number would not be) and with U+FFFD for bytes of names that
 * are not UTF-8, as restic prints them.
 */
export function toJson(value: unknown): string {
  const exact = new Map<string, string>();
  const text = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'string') return item.toWellFormed();
    if (typeof item !== 'bigint') return item;
    const mark = `\u0000${exact.size}`;
    exact.set(JSON.stringify(mark), String(item));
    return mark;
  });
  if (exact.size === 0) return text;
  return text.replace(/"\\u0000\d+"/g, (mark) => exact.get(mark) ?? mark);
}

/** The entries of an object whose values are not 0, '', or undefined: what Go's `omitempty` leaves. */
export function withoutZero(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isZero = (value: unknown): boolean =>
    value === undefined ||
    value === 0 ||
    value === '' ||
    value === false ||
    (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isZero(value)));
}
