import type { Backend, BackendTraits } from '@restic-engine/repo-format';

/** Adds a behavior to a backend. Disposing of the result disposes of the backend. */
export type Wrapper = (backend: Backend) => Backend;

/**
 * Puts wrappers around a backend. The first is nearest to the store, the last sees calls first.
 *
 * @example
 * ```ts
 * const backend = wrap(localBackend('/srv/repo'), withLimit(), withRetry());
 * ```
 */
export function wrap(backend: Backend, ...wrappers: readonly Wrapper[]): Backend {
  return wrappers.reduce((inner, wrapper) => wrapper(inner), backend);
}

/** A backend that differs from `backend` in `changes`; it disposes of `backend` once, however often it is asked to. */
export function override(backend: Backend, changes: Partial<Backend>): Backend {
  let disposal: Promise<void> | undefined;
  return {
    location: backend.location,
    traits: backend.traits,
    create: (call) => backend.create(call),
    save: (file, segments, call) => backend.save(file, segments, call),
    load: (file, range, call) => backend.load(file, range, call),
    stat: (file, call) => backend.stat(file, call),
    list: (type, call) => backend.list(type, call),
    remove: (file, call) => backend.remove(file, call),
    ...(backend.removeFolders && { removeFolders: async (call) => backend.removeFolders?.(call) }),
    [Symbol.asyncDispose]: () => {
      disposal ??= Promise.resolve(backend[Symbol.asyncDispose]());
      return disposal;
    },
    ...changes,
  };
}

/** The traits of `backend` at any time, some of them others: a server may show only later what it cannot do. */
export function changedTraits(backend: Backend, changes: Partial<BackendTraits>): BackendTraits {
  const { traits } = backend;
  return {
    get connections() {
      return changes.connections ?? traits.connections;
    },
    get atomicReplace() {
      return changes.atomicReplace ?? traits.atomicReplace;
    },
    get listAfterWrite() {
      return changes.listAfterWrite ?? traits.listAfterWrite;
    },
    get canRemove() {
      return changes.canRemove ?? traits.canRemove;
    },
  };
}
