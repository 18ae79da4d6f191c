import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { explain } from '../src/failure.ts';

describe('explain', () => {
  it('tells what helps against a damaged lock, and only there', async () => {
    const damaged = new EngineError('corrupt', 'the lock file aaaaaaaa is damaged', { lock: 'a'.repeat(64) });
    const { exit, message } = await explain(damaged, undefined);
    expect(exit).toBe(1);
    expect(message).toMatch(/^Fatal: the lock file aaaaaaaa is damaged\n.*`unlock --remove-all`/);
    expect((await explain(new EngineError('corrupt', 'an index is damaged'), undefined)).message).not.toContain(
      'unlock',
    );
  });
});
