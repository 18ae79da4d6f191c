import fc from 'fast-check';
import { expect, it } from 'vitest';
import { changedFields, mergePatch } from '../../src/restore/merge-patch.ts';

type Fields = Readonly<Record<string, unknown>>;

/** RFC 7386 §2, word for word. */
function applyPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = applyPatch(result[name], value);
  }
  return result;
}

const leaf = fc.oneof(fc.boolean(), fc.integer(), fc.string({ maxLength: 3 }));
const { fields } = fc.letrec<{ fields: Fields; value: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, fc.array(leaf, { maxLength: 3 }), tie('fields')),
  fields: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'spec'), tie('value'), { maxKeys: 4, noNullPrototype: true }),
}));

it('makes one of the other', () => {
  fc.assert(
    fc.property(fields, fields, (from, to) => {
      const patch = mergePatch(from, to);
      expect(patch === undefined ? from : applyPatch(from, patch)).toEqual(to);
    }),
    { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
  );
});

it('says nothing of equal objects, whatever the order of their fields', () => {
  expect(mergePatch({ a: 1, b: { c: [1, { d: 2 }] } }, { b: { c: [1, { d: 2 }] }, a: 1 })).toBeUndefined();
  // The API leaves out what is null.
  expect(mergePatch({ a: null }, {})).toBeUndefined();
  expect(mergePatch({}, { a: null, b: undefined })).toBeUndefined();
});

it('gives lists as a whole and takes away what is too much', () => {
  expect(mergePatch({ a: [1, 2], b: { c: 1, d: 2 }, e: 1 }, { a: [1], b: { c: 1 } })).toEqual({
    a: [1],
    b: { d: null },
    e: null,
  });
});

it('names what changes without showing it', () => {
  const patch = { spec: { started: true, template: {} }, data: { 'a.b/c': 'geheim' }, metadata: { labels: null } };
  expect(changedFields(patch)).toEqual(['spec.started', 'spec.template', 'data.[a.b/c]', 'metadata.labels']);
});

it('takes the names of everything that objects inherit for names', () => {
  const odd: Fields = JSON.parse('{"__proto__":{"a":1},"constructor":"b"}');
  expect(JSON.stringify(mergePatch({}, odd))).toBe(JSON.stringify(odd));
  expect(JSON.stringify(mergePatch(odd, {}))).toBe('{"__proto__":null,"constructor":null}');
  expect(mergePatch(odd, odd)).toBeUndefined();
});
