import { tracingChannel } from 'node:diagnostics_channel';
import type { TracingChannel } from 'node:diagnostics_channel';
import { EngineError } from '@restic-engine/repo-format';
import type { Code, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';
import { override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/**
 * One call to a backend. The same object is published at the start and at the end of the call, with more in it then.
 * It never holds contents or secrets.
 */
export interface BackendEvent {
  readonly method: 'create' | 'save' | 'load' | 'stat' | 'list' | 'remove';
  /** The backend's. */
  readonly location: string;
  /** Not for `create`. */
  readonly type: FileType | undefined;
  /** Not for `create` and `list`. */
  readonly name: string | undefined;
  /** Bytes of content: those of `save` from the start, those of `load` at a good end. */
  bytes?: number;
  /** How many `list` has found so far. */
  files?: number;
  /** Milliseconds, at the end; for `list` those spent waiting for the store. */
  durationMs?: number;
  /** At a bad end. */
  error?: unknown;
  /** At a bad end, where the error is one of the engine. */
  code?: Code;
}

/** The name of the tracing channel: `diagnostics_channel.tracingChannel(BACKEND_CHANNEL)`. */
export const BACKEND_CHANNEL = 'restic-engine:backend';

const CHANNEL: TracingChannel<BackendEvent, BackendEvent> = tracingChannel(BACKEND_CHANNEL);

/**
 * Publishes every call on the tracing channel `restic-engine:backend`: `start`, then `asyncEnd`, and before that `error`
 * where it failed. Below `withRetry` each attempt is a call. Without subscribers it costs nothing to speak of.
 */
export function withObserve(): Wrapper {
  return (backend) => {
    const { location } = backend;
    return override(backend, {
      create: (call) =>
        trace(
          () => eventOf(location, 'create'),
          () => backend.create(call),
        ),
      save: (file, segments, call) =>
        trace(
          () => ({ ...eventOf(location, 'save', file), bytes: sizeOf(segments) }),
          () => backend.save(file, segments, call),
        ),
      load: (file, range, call) =>
        trace(
          () => eventOf(location, 'load', file),
          () => backend.load(file, range, call),
          ({ length }) => length,
        ),
      stat: (file, call) =>
        trace(
          () => eventOf(location, 'stat', file),
          () => backend.stat(file, call),
        ),
      list: (type, call) =>
        CHANNEL.hasSubscribers
          ? traceList({ ...eventOf(location, 'list'), type }, backend.list(type, call))
          : backend.list(type, call),
      remove: (file, call) =>
        trace(
          () => eventOf(location, 'remove', file),
          () => backend.remove(file, call),
        ),
    });
  };
}

function eventOf(location: string, method: BackendEvent['method'], file?: FileHandle): BackendEvent {
  return { method, location, type: file?.type, name: file?.name };
}

function sizeOf(segments: readonly Uint8Array[]): number {
  return segments.reduce((sum, segment) => sum + segment.length, 0);
}

async function trace<T>(
  describe: () => BackendEvent,
  work: () => Promise<T>,
  measure?: (result: T) => number,
): Promise<T> {
  if (!CHANNEL.hasSubscribers) return work();
  const event = describe();
  const start = performance.now();
  try {
    const result = await CHANNEL.start.runStores(event, work);
    if (measure !== undefined) event.bytes = measure(result);
    event.durationMs = performance.now() - start;
    return result;
  } catch (error) {
    event.durationMs = performance.now() - start;
    fail(event, error);
    throw error;
  } finally {
    CHANNEL.asyncEnd.publish(event);
  }
}

/** A listing lasts as long as its reader likes: what counts is the time it waits for the store. */
async function* traceList(event: BackendEvent, files: AsyncIterable<ListedFile>): AsyncGenerator<ListedFile> {
  event.files = 0;
  event.durationMs = 0;
  CHANNEL.start.publish(event);
  try {
    let start = performance.now();
    for await (const file of files) {
      event.files += 1;
      event.durationMs += performance.now() - start;
      yield file;
      start = performance.now();
    }
    event.durationMs += performance.now() - start;
  } catch (error) {
    fail(event, error);
    throw error;
  } finally {
    CHANNEL.asyncEnd.publish(event);
  }
}

function fail(event: BackendEvent, error: unknown): void {
  event.error = error;
  if (EngineError.is(error)) event.code = error.code;
  CHANNEL.error.publish(event);
}
