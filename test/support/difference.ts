import { isDeepStrictEqual } from 'node:util';

/** Fails with the first difference alone: whole values may be megabytes. */
export function expectSameValue(own: unknown, other: unknown, title: string): void {
  const difference = firstDifference(own, other);
  if (difference !== undefined) throw new Error(`${title}\n${difference}`);
}

/** Where two values differ first, and what is there; undefined when they are equal. */
export function firstDifference(own: unknown, other: unknown, path = ''): string | undefined {
  if (isDeepStrictEqual(own, other)) return undefined;
  if (isObject(own) && isObject(other) && Array.isArray(own) === Array.isArray(other)) {
    const keys = [...new Set([...Object.keys(own), ...Object.keys(other)])];
    const key = keys.find((name) => !isDeepStrictEqual(own[name], other[name]));
    if (key !== undefined) return firstDifference(own[key], other[key], `${path}/${key}`);
  }
  const text = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 1000);
  return `at ${path || '/'}: ours ${text(own)}, restic's ${text(other)}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
