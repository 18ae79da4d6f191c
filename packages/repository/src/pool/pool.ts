/** The contract of a pool that runs tasks, and the one that runs them inline. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import { orAborted } from '../abort.ts';
import type { Task } from './task.ts';

export interface RunOptions<Question, Answer> {
  /** Buffers of the input that are given away to the worker. */
  readonly transfer?: readonly ArrayBuffer[];
  /** Answers what the task asks; runs on the calling thread. */
  readonly onAsk?: (question: Question) => Answer | Promise<Answer>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs tasks. A pool queues nothing and limits nothing: callers hold the budget for what is in flight.
 * Errors of a task reject `run` with the code they had in the worker. When the signal fires or the pool is disposed of,
 * `run` rejects with `aborted` at once, whatever the task is doing, and nothing that it still asks is answered.
 */
export interface Pool extends AsyncDisposable {
  /** Tasks that can make progress at the same moment; at least 1. */
  readonly size: number;
  /** Gets ready to run tasks of the module that exports `task`, for callers who have something else to do meanwhile. */
  warm(task: Pick<Task<unknown, unknown>, 'module'>): void;
  run<In, Out, Question, Answer>(
    task: Task<In, Out, Question, Answer>,
    input: In,
    options?: RunOptions<Question, Answer>,
  ): Promise<Out>;
}

/** A pool without threads: for one processor, for browsers, for tests. */
export function inlinePool(): Pool {
  let closed = false;
  return {
    size: 1,
    warm() {},
    async run<In, Out, Question, Answer>(
      task: Task<In, Out, Question, Answer>,
      input: In,
      { onAsk, signal }: RunOptions<Question, Answer> = {},
    ): Promise<Out> {
      const check = (): void => {
        if (closed) throw closedError();
        throwIfAborted(signal);
      };
      check();
      const ask = async (question: Question): Promise<Answer> => {
        check();
        if (onAsk === undefined) throw new TypeError(`task ${task.name} asked, but nobody answers`);
        const answer = await onAsk(question);
        check();
        return answer;
      };
      const { value } = await orAborted(Promise.resolve(task.body(input, { ask })), signal);
      check();
      return value;
    },
    async [Symbol.asyncDispose]() {
      closed = true;
    },
  };
}

/** Why a run ends, or never starts, in a pool that has been disposed of. */
export function closedError(): EngineError {
  return new EngineError('aborted', 'the worker pool has been closed');
}
