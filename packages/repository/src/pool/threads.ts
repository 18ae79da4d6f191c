/**
 * The only file that knows worker threads: both ends of the line between a pool and its workers.
 *
 * A worker imports a task's module once and runs bodies as messages arrive; several may be waiting for answers at the
 * same time. Messages carry a number that names the run.
 */
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import process from 'node:process';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { abortedError, CODES, EngineError, type Code, type ErrorContext } from '@restic-engine/repo-format';
import { closedError } from './pool.ts';
import type { Pool, RunOptions } from './pool.ts';
import type { Task } from './task.ts';

const BRAND = 'restic-engine.worker';

/** Workers make much garbage and keep little: a young generation that fits the cache is faster, and far smaller. */
const YOUNG_GENERATION_MB = 6;

/** Options of the process that are for workers too: how modules are found, and profiles. Not `--eval` and the like. */
const INHERITED = /^(?:--conditions=|--(?:cpu|heap)-prof)/;

/** A program that keeps compiled code has it for its own thread only, unless the environment says so. */
function compileCache(): { readonly env?: NodeJS.ProcessEnv } {
  const folder = getCompileCacheDir();
  // Node makes a folder for its version below the one it is given.
  return folder === undefined ? {} : { env: { ...process.env, NODE_COMPILE_CACHE: dirname(folder) } };
}

interface RunMessage {
  readonly kind: 'run';
  readonly run: number;
  readonly module: string;
  readonly name: string;
  readonly input: unknown;
}

interface AnswerMessage {
  readonly kind: 'answer';
  readonly run: number;
  readonly question: number;
  readonly answer?: unknown;
  readonly failure?: Failure;
}

/** Import this now: tasks of it will follow. */
interface WarmMessage {
  readonly kind: 'warm';
  readonly module: string;
}

type ToWorker = RunMessage | AnswerMessage | WarmMessage;

type FromWorker =
  | { readonly kind: 'done'; readonly run: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly run: number; readonly failure: Failure }
  | { readonly kind: 'ask'; readonly run: number; readonly question: number; readonly body: unknown };

/** An error on its way between threads, where classes do not survive. */
interface Failure {
  readonly code?: Code;
  readonly message: string;
  readonly context: ErrorContext;
  readonly stack?: string | undefined;
  readonly cause?: string | undefined;
}

function toFailure(error: unknown): Failure {
  if (EngineError.is(error)) {
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    return { code: error.code, message: error.message, context: error.context, stack: error.stack, cause };
  }
  if (error instanceof Error) return { message: error.message, context: {}, stack: error.stack };
  return { message: String(error), context: {} };
}

function fromFailure(failure: Failure): Error {
  const options = failure.cause === undefined ? {} : { cause: failure.cause };
  const error =
    failure.code !== undefined && failure.code in CODES
      ? new EngineError(failure.code, failure.message, failure.context, options)
      : new Error(failure.message, options);
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

// ── the pool's end ──────────────────────────────────────────────────────────────────────────────────────────────────

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onAsk: ((question: unknown) => unknown) | undefined;
}

class Thread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #dead: Error | undefined;

  constructor() {
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: BRAND,
      name: 'restic-engine',
      execArgv: process.execArgv.filter((option) => INHERITED.test(option)),
      ...compileCache(),
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#die(error instanceof Error ? error : new Error(String(error))));
    // Without its message a run would wait for ever.
    this.#worker.on('messageerror', (error) => void this.end(error));
    this.#worker.on('exit', () => this.#die(new Error('a worker thread ended')));
    // Only a run keeps the process alive.
    this.#worker.unref();
  }

  get isAlive(): boolean {
    return this.#dead === undefined;
  }

  /** Runs under way; the pool gives the next one to the thread with the fewest. */
  get load(): number {
    return this.#pending.size;
  }

  run(message: RunMessage, pending: Pending, transfer: readonly ArrayBuffer[]): void {
    if (this.#dead !== undefined) {
      pending.reject(this.#dead);
      return;
    }
    if (this.#pending.size === 0) this.#worker.ref();
    this.#pending.set(message.run, pending);
    try {
      this.#worker.postMessage(message, transfer);
    } catch (error) {
      // What cannot be cloned never reached the worker.
      this.#settle(message.run)?.reject(error);
    }
  }

  warm(module: string): void {
    this.#post({ kind: 'warm', module });
  }

  /** The caller lost interest: what the worker still says of this run is dropped. */
  forget(run: number): void {
    this.#settle(run);
  }

  /** Rejects what is under way with `reason` and ends the thread, whatever it is doing. */
  async end(reason: Error): Promise<void> {
    this.#die(reason);
    await this.#worker.terminate();
  }

  #settle(run: number): Pending | undefined {
    const pending = this.#pending.get(run);
    if (pending !== undefined && this.#pending.delete(run) && this.#pending.size === 0) this.#worker.unref();
    return pending;
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'done') this.#settle(message.run)?.resolve(message.value);
    else if (message.kind === 'failed') this.#settle(message.run)?.reject(fromFailure(message.failure));
    else void this.#answer(message.run, message.question, message.body);
  }

  async #answer(run: number, question: number, body: unknown): Promise<void> {
    const pending = this.#pending.get(run);
    try {
      if (pending === undefined) throw new EngineError('aborted', 'nobody waits for this task any more');
      if (pending.onAsk === undefined) throw new TypeError('a task asked, but nobody answers');
      this.#post({ kind: 'answer', run, question, answer: await pending.onAsk(body) });
    } catch (error) {
      this.#post({ kind: 'answer', run, question, failure: toFailure(error) });
    }
  }

  #post(message: AnswerMessage | WarmMessage): void {
    this.#worker.postMessage(message);
  }

  #die(error: Error): void {
    this.#dead ??= error;
    for (const run of this.#pending.keys()) this.#settle(run)?.reject(error);
  }
}

class ThreadPool implements Pool {
  readonly size: number;
  #threads: Thread[] = [];
  #runs = 0;
  #closed = false;

  constructor(size: number) {
    this.size = size;
  }

  warm({ module }: Pick<Task<unknown, unknown>, 'module'>): void {
    while (!this.#closed && this.#threads.length < this.size) this.#started().warm(module);
  }

  run<In, Out, Question, Answer>(
    task: Task<In, Out, Question, Answer>,
    input: In,
    options: RunOptions<Question, Answer> = {},
  ): Promise<Out> {
    return new Promise<Out>((resolve, reject) => {
      const { signal, onAsk, transfer = [] } = options;
      if (this.#closed || signal?.aborted) {
        reject(signal?.aborted ? abortedError(signal) : closedError());
        return;
      }
      const run = this.#runs++;
      const thread = this.#leastLoaded();
      const onAbort = (): void => {
        thread.forget(run);
        if (signal !== undefined) reject(abortedError(signal));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const finish = <T>(settle: (value: T) => void) => {
        return (value: unknown): void => {
          signal?.removeEventListener('abort', onAbort);
          settle(trusted<T>(value));
        };
      };
      const pending: Pending = {
        resolve: finish<Out>(resolve),
        reject: finish<unknown>(reject),
        onAsk: onAsk === undefined ? undefined : (question) => onAsk(trusted<Question>(question)),
      };
      thread.run({ kind: 'run', run, module: task.module, name: task.name, input }, pending, transfer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((thread) => thread.end(closedError())));
  }

  #started(): Thread {
    const thread = new Thread();
    this.#threads.push(thread);
    return thread;
  }

  #leastLoaded(): Thread {
    // A thread that crashed has failed its runs; the next ones get another.
    if (!this.#threads.every((thread) => thread.isAlive)) {
      this.#threads = this.#threads.filter((thread) => thread.isAlive);
    }
    const idle = this.#threads.find((thread) => thread.load === 0);
    if (idle !== undefined) return idle;
    if (this.#threads.length < this.size) return this.#started();
    return this.#threads.reduce((best, thread) => (thread.load < best.load ? thread : best));
  }
}

/**
 * A pool of `size` worker threads, started when first used. A worker does not keep the process alive while it has
 * nothing to do.
 */
export function threadPool(size: number): Pool {
  return new ThreadPool(size);
}

/** Values between the two ends of one line have the types of the task; nobody else can post here. */
function trusted<T>(value: unknown): T {
  return value as T;
}

// ── the worker's end ────────────────────────────────────────────────────────────────────────────────────────────────

type Port = NonNullable<typeof parentPort>;
type AnyTask = Task<unknown, unknown, unknown, unknown>;

function serve(port: Port): void {
  const modules = new Map<string, Promise<Record<string, AnyTask>>>();
  const questions = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  let asked = 0;

  function load(url: string): Promise<Record<string, AnyTask>> {
    let module = modules.get(url);
    if (module === undefined) modules.set(url, (module = import(url)));
    return module;
  }

  async function start(message: RunMessage): Promise<void> {
    try {
      const task = (await load(message.module))[message.name];
      if (task === undefined) throw new TypeError(`${message.module} exports no task ${message.name}`);
      const outcome = await task.body(message.input, {
        ask: (body, transfer = []) =>
          new Promise((resolve, reject) => {
            const question = asked++;
            questions.set(question, { resolve, reject });
            port.postMessage({ kind: 'ask', run: message.run, question, body } satisfies FromWorker, transfer);
          }),
      });
      port.postMessage(
        { kind: 'done', run: message.run, value: outcome.value } satisfies FromWorker,
        outcome.transfer ?? [],
      );
    } catch (error) {
      port.postMessage({ kind: 'failed', run: message.run, failure: toFailure(error) } satisfies FromWorker);
    }
  }

  port.on('message', (message: ToWorker) => {
    if (message.kind === 'run') {
      void start(message);
      return;
    }
    if (message.kind === 'warm') {
      // Whoever runs a task of it meets what is wrong with the module.
      load(message.module).catch(() => undefined);
      return;
    }
    const waiting = questions.get(message.question);
    questions.delete(message.question);
    if (message.failure !== undefined) waiting?.reject(fromFailure(message.failure));
    else waiting?.resolve(message.answer);
  });
}

if (!isMainThread && workerData === BRAND && parentPort !== null) serve(parentPort);
