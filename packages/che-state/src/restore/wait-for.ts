/** Waiting for what others do to an object. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { throwIfAborted, wait } from '../cluster/wait.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';

/** Before an object is looked at again whose watch has ended. */
const PAUSE_MS = 1000;
/** Node's timers know no longer time: 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

export interface WaitForOptions {
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** For people, such as `the CheCluster to be gone`. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  /** What the error of a timeout says of the object beside its name: its phase, never its content. */
  readonly describe?: ((object: KubeObject | undefined) => string) | undefined;
}

/**
 * Resolves when `until` is true of the object (undefined: it is not there), as it then is. Rejects with `timeout`.
 *
 * The API tells of changes; it is asked again only when it stops telling.
 */
export async function waitFor(
  cluster: Cluster,
  ref: ObjectRef,
  until: (object: KubeObject | undefined) => boolean,
  options: WaitForOptions,
): Promise<KubeObject | undefined> {
  const tooLong = AbortSignal.timeout(Math.min(options.timeoutMs, LONGEST_MS));
  const signal = options.signal === undefined ? tooLong : AbortSignal.any([options.signal, tooLong]);
  const last: Last = { object: undefined, tooOld: false };
  try {
    for (;;) {
      last.object = await cluster.get(ref, { signal });
      if (until(last.object)) return last.object;
      if (await watched(cluster, ref, until, last, signal)) return last.object;
      if (!last.tooOld) await wait(PAUSE_MS, signal);
    }
  } catch (error) {
    throwIfAborted(options.signal);
    if (!tooLong.aborted) throw error;
    const state = options.describe?.(last.object) ?? '';
    throw new EngineError('timeout', `waited ${options.timeoutMs / 1000} seconds for ${options.what}`, {
      kind: ref.kind.kind,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
      name: ref.name,
      ...(state === '' ? {} : { state }),
    });
  }
}

interface Last {
  object: KubeObject | undefined;
  /** The API knows no changes any more since the object was changed last. */
  tooOld: boolean;
}

/** False when the API has stopped telling. */
async function watched(
  cluster: Cluster,
  ref: ObjectRef,
  until: (object: KubeObject | undefined) => boolean,
  last: Last,
  signal: AbortSignal,
): Promise<boolean> {
  const resourceVersion = last.tooOld ? undefined : last.object?.metadata.resourceVersion;
  last.tooOld = false;
  try {
    const events = cluster.watch(ref.kind, {
      signal,
      namespace: ref.namespace,
      fieldSelector: `metadata.name=${ref.name}`,
      resourceVersion,
    });
    for await (const { type, object } of events) {
      if (type === 'BOOKMARK') continue;
      last.object = type === 'DELETED' ? undefined : object;
      if (until(last.object)) return true;
    }
    throwIfAborted(signal);
    return false;
  } catch (error) {
    // The API knows no changes that old any more, or the connection broke: whoever looks again learns what is the matter.
    last.tooOld = EngineError.is(error, 'conflict') && resourceVersion !== undefined;
    if (!EngineError.is(error) || !error.retryable || signal.aborted) throw error;
    return false;
  }
}
