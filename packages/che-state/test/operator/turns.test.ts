import { expect, it } from 'vitest';
import { Turns } from '../../src/operator/turns.ts';

const never = new AbortController().signal;

it('gives one turn at a time for each name, in order', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work = (name: string) => async (): Promise<string> => {
    log.push(`${name} begins`);
    await Promise.resolve();
    log.push(`${name} ends`);
    return name;
  };
  const results = await Promise.all([
    turns.take('x', never, work('a')),
    turns.take('x', never, work('b')),
    turns.take('y', never, work('c')),
  ]);
  expect(results).toEqual(['a', 'b', 'c']);
  expect(log.filter((line) => !line.startsWith('c'))).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  expect(log.indexOf('c begins')).toBeLessThan(log.indexOf('a ends'));
});

it('goes on after a failure, and leaves out who does not want any more', async () => {
  const turns = new Turns();
  const gone = AbortSignal.abort();
  const failing = turns.take('x', never, () => Promise.reject(new Error('no')));
  const left = turns.take('x', gone, () => Promise.resolve('left'));
  const last = turns.take('x', never, () => Promise.resolve('last'));
  await expect(failing).rejects.toThrow('no');
  await expect(left).rejects.toMatchObject({ code: 'aborted' });
  expect(await last).toBe('last');
});
