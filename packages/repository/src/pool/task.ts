/**
 * Tasks: pieces of work that a worker thread may do. A task is an exported constant of a module, so a worker finds it
 * by importing that module; where there are no workers the same body runs inline.
 */

/** What a task body may do beside computing. */
export interface TaskContext<Question, Answer> {
  /** Asks the caller of the task, for example which blobs are new. Buffers in `transfer` are given away. */
  ask(question: Question, transfer?: readonly ArrayBuffer[]): Promise<Answer>;
}

/** The result of a task body and the buffers that go with it to the caller, uncopied. */
export interface Outcome<Out> {
  readonly value: Out;
  readonly transfer?: readonly ArrayBuffer[];
}

export interface Task<In, Out, Question = never, Answer = never> {
  /** `import.meta.url` of the module that exports the task. */
  readonly module: string;
  /** The name it is exported under. */
  readonly name: string;
  body(input: In, context: TaskContext<Question, Answer>): Outcome<Out> | Promise<Outcome<Out>>;
}

/**
 * Defines a task. Input, output, questions and answers must survive structured cloning.
 *
 * @example
 * ```ts
 * export const measure = task(import.meta.url, 'measure', (text: string) => ({ value: text.length }));
 * ```
 */
export function task<In, Out, Question = never, Answer = never>(
  module: string,
  name: string,
  body: Task<In, Out, Question, Answer>['body'],
): Task<In, Out, Question, Answer> {
  return { module, name, body };
}
