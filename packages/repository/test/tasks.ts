/** Tasks for the tests of pools; workers import this module. */
import { EngineError } from '@restic-engine/repo-format';
import { task } from '../src/pool/task.ts';
import type { Task } from '../src/pool/task.ts';

export const echo: Task<unknown, unknown> = task(import.meta.url, 'echo', (input) => ({ value: input }));

/** Asks for each number and adds up the answers. */
export const sumOfAnswers: Task<readonly number[], number, number, number> = task(
  import.meta.url,
  'sumOfAnswers',
  async (numbers, { ask }) => {
    let sum = 0;
    for (const number of numbers) sum += await ask(number);
    return { value: sum };
  },
);

/** Asks for a buffer and gives away one of its own with the question, and one with the result. */
export const exchange: Task<Uint8Array, Uint8Array, Uint8Array, Uint8Array> = task(
  import.meta.url,
  'exchange',
  async (input, { ask }) => {
    const question = new Uint8Array(input).map((byte) => byte + 1);
    const answer = await ask(question, [question.buffer]);
    const value = new Uint8Array(answer).map((byte) => byte + 1);
    return { value, transfer: [value.buffer] };
  },
);

export const refuse: Task<string, never> = task(import.meta.url, 'refuse', (id) => {
  throw new EngineError('corrupt', 'not what it should be', { id, length: 7 }, { cause: new Error('the reason') });
});

export const mistake: Task<null, never> = task(import.meta.url, 'mistake', async () => {
  throw new TypeError('a programming mistake');
});

/** Keeps its thread busy for so many milliseconds. */
export const spin: Task<number, string> = task(import.meta.url, 'spin', (ms) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return { value: 'done' };
});

/** An error that nobody catches, some time after the task began to wait. */
export const crash: Task<null, null> = task(import.meta.url, 'crash', async () => {
  setTimeout(() => {
    throw new Error('nobody catches this');
  }, 1);
  await new Promise(() => undefined);
  return { value: null };
});

export const exit: Task<null, null> = task(import.meta.url, 'exit', () => process.exit(3));

/** A result that cannot go from one thread to another. */
export const unclonable: Task<null, unknown> = task(import.meta.url, 'unclonable', () => ({ value: () => 1 }));
