import { EngineError } from '@restic-engine/repo-format';
import type { Backend, ByteRange, Call, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';
import { filePath } from '../layout.ts';
import { Backoff, repeat } from './backoff.ts';
import type { RetryOptions } from './backoff.ts';
import { SeenNames } from './seen-names.ts';
import { SYSTEM_TIME } from './time.ts';
import type { Time } from './time.ts';
import { override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/** How long a file whose loads kept failing is refused at once. */
const BROKEN_MS = 60 * 60_000;

/**
 * Repeats calls that failed with a retryable code: after 1 s, then twice as long each time up to 60 s, each wait varied
 * by half, for 15 minutes in all but at least once. Other errors pass at once.
 *
 * A file whose loads failed to the end is refused for an hour without further attempts: an operation that needs a
 * hundred ranges of it would otherwise wait for a day.
 *
 * Disposing of the backend ends calls that wait for their next attempt with `aborted`.
 */
export function withRetry(given: RetryOptions = {}): Wrapper {
  return (backend) => {
    const end = new AbortController();
    const options = { ...given, time: endingWith(end.signal, given.time ?? SYSTEM_TIME) };
    const load = guardedLoad(backend, options);
    const retrying = override(backend, {
      create: (call) => repeat('create', options, call?.signal, () => backend.create(call)),
      save: (file, segments, call) =>
        repeat(`save ${filePath(file)}`, options, call?.signal, (count) =>
          count === 1 ? backend.save(file, segments, call) : saveAgain(backend, file, segments, call),
        ),
      load,
      stat: (file, call) => repeat(`stat ${filePath(file)}`, options, call?.signal, () => backend.stat(file, call)),
      list: (type, call) => listOnce(backend, options, type, call),
      remove: (file, call) =>
        repeat(`remove ${filePath(file)}`, options, call?.signal, () => backend.remove(file, call)),
    });
    return override(retrying, {
      [Symbol.asyncDispose]() {
        // What nobody waits for any more would keep the process alive.
        end.abort(new Error('the backend was disposed of'));
        return retrying[Symbol.asyncDispose]();
      },
    });
  };
}

/** `time`, but that nobody sleeps once `end` has fired. */
function endingWith(end: AbortSignal, time: Time): Time {
  return {
    now: () => time.now(),
    random: () => time.random(),
    sleep: (ms, signal) => time.sleep(ms, signal === undefined ? end : AbortSignal.any([signal, end])),
  };
}

/**
 * Sends a file again after an attempt whose outcome is unknown: where a store refuses existing names, the first one may
 * have succeeded and only its answer got lost.
 */
async function saveAgain(
  backend: Backend,
  file: FileHandle,
  segments: readonly Uint8Array[],
  call: Call | undefined,
): Promise<void> {
  const { atomicReplace, canRemove } = backend.traits;
  // All names but `config` are hashes of the content. A config that is there may be someone else's: it stays.
  if (!atomicReplace && canRemove && file.type !== 'config') await removeRemains(backend, file, call);
  try {
    await backend.save(file, segments, call);
  } catch (error) {
    if (atomicReplace || !EngineError.is(error, 'already-exists')) throw error;
    if (!(await isThere(backend, file, segments, call))) throw error;
  }
}

/** Servers that only take in do not all say so before they are asked to remove something. */
async function removeRemains(backend: Backend, file: FileHandle, call: Call | undefined): Promise<void> {
  try {
    await backend.remove(file, call);
  } catch (error) {
    if (!EngineError.is(error, 'denied')) throw error;
  }
}

/** Is the file that is there the one that was sent? */
async function isThere(
  backend: Backend,
  file: FileHandle,
  segments: readonly Uint8Array[],
  call: Call | undefined,
): Promise<boolean> {
  const { size } = await backend.stat(file, call);
  if (size !== segments.reduce((sum, segment) => sum + segment.length, 0)) return false;
  if (file.type !== 'config') return true;
  return Buffer.concat(segments).equals(await backend.load(file, undefined, call));
}

function guardedLoad(backend: Backend, options: RetryOptions & { readonly time: Time }): Backend['load'] {
  const { time } = options;
  const broken = new Map<string, { readonly until: number; readonly error: EngineError }>();
  return async (file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> => {
    const path = filePath(file);
    const state = broken.get(path);
    if (state !== undefined && time.now() < state.until) {
      const message = `${path} failed all attempts to load it and is not tried again for an hour`;
      throw new EngineError(state.error.code, message, { file: path }, { cause: state.error });
    }
    try {
      const bytes = await repeat(`load ${path}`, options, call?.signal, () => backend.load(file, range, call));
      broken.delete(path);
      return bytes;
    } catch (error) {
      if (EngineError.is(error) && error.retryable) broken.set(path, { until: time.now() + BROKEN_MS, error });
      throw error;
    }
  };
}

async function* listOnce(
  backend: Backend,
  options: RetryOptions,
  type: FileType,
  call: Call | undefined,
): AsyncGenerator<ListedFile> {
  const backoff = new Backoff(`list ${type}`, options);
  const seen = new SeenNames();
  for (;;) {
    try {
      for await (const file of backend.list(type, call)) {
        if (seen.add(file.name)) yield file;
      }
      return;
    } catch (error) {
      await backoff.wait(error, call?.signal);
      seen.repeated();
    }
  }
}
