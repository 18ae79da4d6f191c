/** JSON merge patches (RFC 7386). */
import { isDeepStrictEqual } from 'node:util';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What makes `to` of `from`; undefined when they are equal. Fields that only `from` has become null, lists are given as a
 * whole. Null values within `to` cannot be said in such a patch: they count as missing.
 */
export function mergePatch(from: Fields, to: Fields): Fields | undefined {
  const patch: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const before = from[name] ?? undefined;
    const after = to[name] ?? undefined;
    if (isDeepStrictEqual(before, after)) continue;
    if (after === undefined) patch[name] = null;
    else if (isFields(after) && isFields(before)) {
      const inner = mergePatch(before, after);
      if (inner !== undefined) patch[name] = inner;
    } else patch[name] = after;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** The names of the fields that a patch changes, such as `spec.started`: never what they contain. */
export function changedFields(patch: Fields, prefix = ''): readonly string[] {
  return Object.entries(patch).flatMap(([name, value]) => {
    const path = `${prefix}${/^[\w-]+$/.test(name) ? name : `[${name}]`}`;
    return isFields(value) && Object.keys(value).length > 0 ? changedFields(value, `${path}.`) : [path];
  });
}
