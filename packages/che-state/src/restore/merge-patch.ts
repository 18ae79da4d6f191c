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
  const patch = new Map<string, unknown>();
  for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const before = fieldOf(from, name);
    const after = fieldOf(to, name);
    if (isDeepStrictEqual(before, after)) continue;
    const inner = isFields(after) && isFields(before) ? mergePatch(before, after) : (after ?? null);
    if (inner !== undefined) patch.set(name, inner);
  }
  return patch.size === 0 ? undefined : Object.fromEntries(patch);
}

/** Names of fields are anything, also those that every object of JavaScript has. */
const fieldOf = (fields: Fields, name: string): unknown =>
  Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;

/** The names of the fields that a patch changes, such as `spec.started`: never what they contain. */
export function changedFields(patch: Fields, prefix = ''): readonly string[] {
  return Object.entries(patch).flatMap(([name, value]) => {
    const path = `${prefix}${/^[\w-]+$/.test(name) ? name : `[${name}]`}`;
    return isFields(value) && Object.keys(value).length > 0 ? changedFields(value, `${path}.`) : [path];
  });
}
