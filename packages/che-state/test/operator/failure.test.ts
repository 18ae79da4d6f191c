import { EngineError } from 'restic-engine';
import { expect, it } from 'vitest';
import { describe as describeError, mayPass, reasonOf } from '../../src/operator/failure.ts';
import { isPruneDue } from '../../src/operator/retention.ts';

it('says of errors what they may say, and nothing of those that may hold anything', () => {
  const known = new EngineError('mismatch', 'the backup is of another version', { version: '7.1.0 → 7.2.0' });
  expect(describeError(known)).toBe('the backup is of another version (version: 7.1.0 → 7.2.0)');
  expect(describeError(new EngineError('not-found', 'no Secret main', { secret: 'main' }))).toBe('no Secret main');
  expect(describeError(new TypeError('password=geheim'))).toBe('internal error (TypeError)');
  expect(describeError('geheim')).toBe('internal error (string)');
});

it('tries again what may pass, and nothing else', () => {
  expect(mayPass(new EngineError('io', 'away'))).toBe(true);
  expect(mayPass(new EngineError('wrong-password', 'no'))).toBe(false);
  expect(mayPass(new TypeError('a mistake'))).toBe(false);
  expect([reasonOf(new EngineError('wrong-password', 'no')), reasonOf(new Error('x'))]).toEqual([
    'WrongPassword',
    'InternalError',
  ]);
});

it('prunes when it is time', () => {
  const now = new Date('2026-02-08T00:00:00Z');
  const due = (prune: 'Never' | 'Weekly' | 'Always', lastPrune: string | undefined, removed: number): boolean =>
    isPruneDue({ prune, lastPrune }, removed, now);
  expect([due('Never', undefined, 5), due('Always', undefined, 0), due('Always', undefined, 1)]).toEqual([
    false,
    false,
    true,
  ]);
  expect(due('Weekly', undefined, 0)).toBe(true);
  expect(due('Weekly', '2026-02-01T00:00:00Z', 0)).toBe(true);
  expect(due('Weekly', '2026-02-01T00:00:01Z', 9)).toBe(false);
});
