import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eachOf } from '../../src/restore/parallel.ts';

it('does everything, and no more at a time than wanted', async () => {
  const done: number[] = [];
  const state = { running: 0, most: 0 };
  await eachOf(
    Array.from({ length: 20 }, (_, at) => at),
    async (at) => {
      state.most = Math.max(state.most, ++state.running);
      await sleep(at % 3);
      state.running--;
      done.push(at);
    },
    4,
  );
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, at) => at));
  expect(state.most).toBe(4);
});

it('begins nothing after a failure, and tells of it when all have ended', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const work = eachOf(
    [0, 1, 2, 3, 4, 5],
    async (at) => {
      begun.push(at);
      await sleep(at === 1 ? 1 : 30);
      if (at === 1) throw new Error('no');
      ended.push(at);
    },
    3,
  );
  await expect(work).rejects.toThrow('no');
  expect(begun).toEqual([0, 1, 2]);
  expect(ended).toEqual([0, 2]);
});
