/** The suite on somebody's own storage, in a place made for it, which takes away what it has stored. */
import { randomBytes } from 'node:crypto';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Backend, Call, FileHandle, FileType } from '@restic-engine/repo-format';
import type { CheckBackendOptions, BackendVerdict } from '../check-backend.ts';
import { filePath } from '../layout.ts';
import { changedTraits, override } from '../wrap/wrap.ts';
import { handleFor, inParallel } from './content.ts';
import { describeBackend } from './describe-backend.ts';

const TIMEOUT_MS = 5 * 60_000;
const TYPES: readonly FileType[] = ['config', 'key', 'lock', 'snapshot', 'index', 'data'];

/** What `checkBackend` does. */
export async function* checkPlace(
  open: (place: number) => Promise<Backend>,
  options: CheckBackendOptions,
): AsyncGenerator<BackendVerdict> {
  const { signal, leaveFiles = false } = options;
  const scratch = new Scratch(await open(0));
  try {
    const removes = await scratch.removes(signal);
    if (!removes && !leaveFiles) {
      const message = 'this place is append-only: what is stored to check it could not be removed again';
      throw new EngineError('denied', message, { appendOnly: true });
    }
    if (removes) await scratch.create(signal);
    const found = removes ? { atomicReplace: await scratch.replaces(signal) } : { canRemove: false };
    let place = 0;
    const make = async (): Promise<Backend> => {
      const backend = await open(removes ? 0 : (place += 1));
      return scratch.record(override(backend, { traits: changedTraits(backend, found) }));
    };
    for (const promise of promisesOf(make, options)) {
      throwIfAborted(signal);
      const verdict = await judge(promise, scratch, options);
      throwIfAborted(signal);
      yield verdict;
      if (removes) await scratch.empty();
    }
  } finally {
    await scratch.end();
  }
}

interface Testable {
  readonly group: string;
  readonly name: string;
  run(): Promise<void>;
}

/** The suite, asked for as any test runner would ask. */
function promisesOf(make: () => Promise<Backend>, { secrets = [] }: CheckBackendOptions): Testable[] {
  const found: Testable[] = [];
  let group = '';
  const suite = {
    describe: (name: string, define: () => void): void => {
      group = name;
      define();
    },
    it: (name: string, run: () => Promise<void>): void => void found.push({ group, name, run }),
  };
  describeBackend(suite, 'this place', make, { secrets });
  return found;
}

async function judge(promise: Testable, scratch: Scratch, options: CheckBackendOptions): Promise<BackendVerdict> {
  const { group, name } = promise;
  const start = performance.now();
  const error = await scratch
    .within(options.timeoutMs ?? TIMEOUT_MS, options.signal, () => promise.run())
    .then(
      () => undefined,
      (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason))),
    );
  return { group, name, kept: error === undefined, durationMs: performance.now() - start, error };
}

/** The place, and all that was stored there. */
class Scratch {
  /** Empties the place; the backends under test come and go. */
  readonly #backend: Backend;
  readonly #saved = new Map<string, FileHandle>();
  #created = false;
  /** Ends the calls of a promise that takes too long, or of all of them. */
  #end = new AbortController();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Removing what is not there is success, unless removing anything is refused. */
  async removes(signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.#backend.traits.canRemove) return false;
    try {
      await this.#backend.remove({ type: 'data', name: randomBytes(32).toString('hex') }, { signal });
      return true;
    } catch (error) {
      if (EngineError.is(error, 'denied')) return false;
      // There is not even a bucket yet.
      if (!EngineError.is(error, 'not-found')) throw error;
      return true;
    }
  }

  /** Some protocols leave it to the server whether a name can be saved again. */
  async replaces(signal: AbortSignal | undefined): Promise<boolean> {
    const { traits } = this.#backend;
    if (traits.atomicReplace) return true;
    const content = randomBytes(32);
    const file = handleFor('lock', content);
    this.#saved.set(filePath(file), file);
    try {
      await this.#backend.save(file, [content], { signal });
      await this.#backend.save(file, [content], { signal });
      return true;
    } catch (error) {
      if (EngineError.is(error, 'already-exists')) return false;
      throw error;
    } finally {
      await this.empty();
    }
  }

  async create(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#backend.create({ signal });
      this.#created = true;
    } catch (error) {
      // The reason why it could not be made is the one to tell, also when the half of it cannot be removed.
      await Promise.allSettled([this.#backend.removeFolders?.()]);
      throw error;
    }
  }

  /** Runs `work`; calls to backends that are recorded end after `ms` milliseconds, or with `signal`. */
  async within(ms: number, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    const end = new AbortController();
    this.#end = end;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const stop = (reason: unknown): void => {
      end.abort(reason);
      reject(reason);
    };
    const timer = setTimeout(() => stop(new Error(`takes longer than ${ms / 1000} s`)), ms);
    const onAbort = (): void => stop(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      // A backend that does not heed its signal cannot hold up the others.
      await Promise.race([work(), ended]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Notes what is saved, whatever becomes of it. */
  record(backend: Backend): Backend {
    const end = this.#end.signal;
    const also = (call: Call | undefined): Call => ({
      ...call,
      signal: call?.signal === undefined ? end : AbortSignal.any([call.signal, end]),
    });
    return override(backend, {
      create: (call) => backend.create(also(call)),
      save: (file, segments, call) => {
        this.#saved.set(filePath(file), file);
        return backend.save(file, segments, also(call));
      },
      load: (file, range, call) => backend.load(file, range, also(call)),
      stat: (file, call) => backend.stat(file, also(call)),
      list: (type, call) => backend.list(type, also(call)),
      remove: (file, call) => backend.remove(file, also(call)),
    });
  }

  /** Removes by name: a store that lists late may not show what is there. */
  async empty(): Promise<void> {
    const files = [...this.#saved.values()];
    await inParallel(files.length, this.#backend.traits.connections, async (index) => {
      const file = files[index];
      if (file !== undefined) await this.#backend.remove(file);
    });
    this.#saved.clear();
  }

  /** Leaves nothing behind. */
  async end(): Promise<void> {
    try {
      if (this.#created) await this.#clear();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const { location } = this.#backend;
      throw new EngineError('io', `not all of ${location} could be removed: ${reason}`, { location }, { cause: error });
    } finally {
      await this.#backend[Symbol.asyncDispose]();
    }
  }

  async #clear(): Promise<void> {
    await this.empty();
    for (const type of TYPES) {
      for await (const { name } of this.#backend.list(type)) await this.#backend.remove({ type, name });
    }
    await this.#backend.removeFolders?.();
  }
}
