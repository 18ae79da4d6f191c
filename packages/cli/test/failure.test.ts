import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { explain, withContext } from '../src/failure.ts';

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

  it('says what an error is about where that is wanted and the message does not', async () => {
    const error = new EngineError('io', 'cannot read a.yaml', { file: 'a.yaml', cause: 'EACCES' });
    expect((await explain(error, undefined)).message).toBe('Fatal: cannot read a.yaml');
    expect((await explain(error, undefined, withContext)).message).toBe('Fatal: cannot read a.yaml (cause: EACCES)');
  });
});
