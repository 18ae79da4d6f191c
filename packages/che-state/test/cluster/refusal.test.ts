import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal, withoutValues } from '../../src/cluster/refusal.ts';
import { statusOf } from './stand-in.ts';

describe('what the API says', () => {
  it('is told without the values it quotes', () => {
    const cases: readonly (readonly [string, string])[] = [
      [
        'Secret "a" is invalid: data[x y]: Invalid value: "x \\" y": a valid key',
        'Secret … is invalid: data[x y]: Invalid value: a valid key',
      ],
      ['spec.replicas: Invalid value: -7: must be positive', 'spec.replicas: Invalid value: must be positive'],
      ['x: Unsupported value: "s": supported values: "Always"', 'x: Unsupported value: supported values: …'],
      ['x: Invalid value: map[string]string{"a":"b: c"}: no match', 'x: Invalid value: no match'],
      ['x: Duplicate value: "s"', 'x: Duplicate value'],
      ['x: expected string, got &value.valueUnstructured{Value:7}', 'x: expected string'],
      ['cannot be handled, error found in #10 byte of ...|cret"}|...', 'cannot be handled'],
      ['one\n\ttwo', 'one two'],
      ['it says "half of it', 'it says …'],
      [
        `secrets "tls" is forbidden: User "system:serviceaccount:che:x" cannot list resource "secrets" in API group "" in the namespace "che"`,
        `User "system:serviceaccount:che:x" cannot list resource "secrets" in API group "" in the namespace "che"`,
      ],
    ];
    for (const [said, told] of cases) expect(withoutValues(said)).toBe(told);
  });

  it('never tells a quoted value, however it is written', () => {
    const value = fc.string({ minLength: 4, maxLength: 40 }).map((text) => `canary${text}canary`);
    fc.assert(
      fc.property(value, fc.constantFrom('Invalid', 'Unsupported', 'Duplicate'), (secret, how) => {
        for (const quoted of [JSON.stringify(secret), `map[string]string{"a":${JSON.stringify(secret)}}`]) {
          const error = refusal(
            'apply Secret a/b',
            422,
            statusOf(422, 'Invalid', `x: ${how} value: ${quoted}: must be`),
          );
          expect(JSON.stringify(error)).not.toContain('canary');
        }
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('is short, and names the fields it is about', () => {
    const causes = Array.from({ length: 1000 }, (_, i) => ({
      reason: 'FieldValueInvalid',
      field: `spec.f${i % 20}`,
      message: 'x',
    }));
    const error = refusal(
      'apply Secret a/b',
      422,
      statusOf(422, 'Invalid', 'x '.repeat(10_000), { details: { causes } }),
    );
    expect(error.message.length).toBeLessThan(500);
    expect(error.context).toEqual({
      status: 422,
      reason: 'Invalid',
      fields: Array.from({ length: 10 }, (_, i) => `spec.f${i}`).join(', '),
    });
  });
});
