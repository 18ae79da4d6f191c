/** The contract of a pool that runs tasks, and the one that runs them inline. */
import { throwIfAborted } from '@restic-engine/repo-format';
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
 * Errors of a task reject `run` with the code they had in the worker.
 */
export interface Pool extends AsyncDisposable {
  /** Tasks that can make progress at the same moment; at least 1. */
  readonly size: number;
  run<In, Out, Question, Answer>(
    task: Task<In, Out, Question, Answer>,
    input: In,
    options?: RunOptions<Question, Answer>,
  ): Promise<Out>;
}

/** A pool without threads: for one processor, for browsers, for tests. */
export function inlinePool(): Pool {
  return {
    size: 1,
    async run(task, input, options = {}) {
      throwIfAborted(options.signal);
      const { onAsk } = options;
      const outcome = await task.body(input, {
        async ask(question) {
          throwIfAborted(options.signal);
          if (onAsk === undefined) throw new TypeError(`task ${task.name} asked, but nobody answers`);
          return onAsk(question);
        },
      });
      return outcome.value;
    },
    async [Symbol.asyncDispose]() {},
  };
}
