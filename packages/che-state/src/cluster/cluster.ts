/** What is asked of a cluster: the calls of the Kubernetes API that backing up and restoring need, and no more. */
import type { Kind, KubeObject, ObjectRef } from '../objects/object.ts';

/** What every call takes. */
export interface ClusterCall {
  readonly signal?: AbortSignal | undefined;
}

/** Which objects. */
export interface Selection extends ClusterCall {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection {
  /** Told once, before the first object, of the version from which a watch misses nothing that the list does not have. */
  readonly onVersion?: ((resourceVersion: string) => void) | undefined;
}

export interface WatchOptions extends Selection {
  /**
   * Tell what happened after this version: a list's, or that of an earlier event. That of an object may be so old that
   * nobody knows what has happened since. Default: everything there is, first.
   */
  readonly resourceVersion?: string | undefined;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export interface ApplyOptions extends ClusterCall {
  /** Who owns the fields. @default 'che-backup' */
  readonly fieldManager?: string | undefined;
  /** The API checks and answers as it would, and changes nothing. @default false */
  readonly dryRun?: boolean | undefined;
}

export interface RemoveOptions extends ClusterCall {
  /** Only if it still is the object with this uid. */
  readonly uid?: string | undefined;
  /** What happens to objects that this one owns. @default 'Background' */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
}

export interface ExecOptions extends ClusterCall {
  readonly namespace: string;
  readonly pod: string;
  /** @default the pod's first */
  readonly container?: string | undefined;
  readonly command: readonly string[];
  /**
   * Given to the command's standard input as fast as it reads. It is closed after that where the API can do so (Kubernetes
   * from 1.30 on); elsewhere the command must know by itself when it has everything, as `psql` does at a line `\q`. It
   * must also know by itself that what it got is whole: when this rejects, or the connection breaks, it may see an end of
   * its input all the same. Default: none.
   */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/** A command that runs in a container. */
export interface RunningCommand {
  /**
   * Its standard output, once, in pieces that belong to the reader. It must be read, for the command waits for that, and
   * `ended` too; leaving it early gives the command up. Rejects with what `stdin` rejected with, when the connection breaks,
   * and when the command could not be run to its end.
   */
  readonly stdout: AsyncIterable<Uint8Array>;
  /**
   * Settles when it has ended: the exit status, whatever it is, and the last 16 KiB of standard error, which may quote
   * secrets. Rejects, with what `stdout` rejects with, when that is not known.
   */
  readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>;
}

/**
 * A cluster. Calls reject with `EngineError`: `unauthorized`, `denied`, `not-found` (a kind that is not served, a
 * namespace that is not there), `already-exists`, `conflict` (also from a namespace that is being removed), `throttled`,
 * `bad-request` (what validation refuses), `too-large` (an object above 16 MiB), `untrusted` (the API's certificate), `io`
 * and `aborted`. What may succeed when repeated has been repeated for some seconds already. Messages and contexts never
 * hold what objects contain.
 */
export interface Cluster extends AsyncDisposable {
  /** The address of the API, without credentials. */
  readonly server: string;
  /** The namespace of the kubeconfig's context, or of the pod. */
  readonly namespace: string | undefined;
  /** Is there such a kind? */
  serves(kind: Kind, call?: ClusterCall): Promise<boolean>;
  /** The kind that is written like this in manifests, such as `apps/v1` and `Deployment`; undefined when it is not served. */
  findKind(apiVersion: string, kind: string, call?: ClusterCall): Promise<Kind | undefined>;
  /** The server's version, such as `v1.30.2`. */
  version(call?: ClusterCall): Promise<string>;
  /**
   * Each object once, in pages; as they all were at one time, unless the list is read so slowly that the server forgets
   * how it was. A kind that is not served has no objects.
   */
  list(kind: Kind, options?: ListOptions): AsyncIterable<KubeObject>;
  /** undefined when it is not there. */
  get(ref: ObjectRef, call?: ClusterCall): Promise<KubeObject | undefined>;
  /** Not repeated when the connection breaks before the answer: it may be there after `io`. */
  create(kind: Kind, object: KubeObject, call?: ClusterCall): Promise<KubeObject>;
  /** Server-side apply: takes over the fields that `object` has, from whomever (force). */
  apply(kind: Kind, object: KubeObject, options?: ApplyOptions): Promise<KubeObject>;
  /**
   * Puts `object` in the place of the one that has its `resourceVersion`; `conflict` when that was changed meanwhile. Not
   * repeated when the connection breaks before the answer.
   */
  replace(kind: Kind, object: KubeObject, call?: ClusterCall): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386) of the object, or of its status. */
  merge(
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options?: ClusterCall & { readonly subresource?: 'status' | undefined },
  ): Promise<KubeObject>;
  /** Asks for the deletion; false when it is not there. Finalizers may hold it for as long as they like. */
  remove(ref: ObjectRef, options?: RemoveOptions): Promise<boolean>;
  /** Ends when the server ends it, after minutes; rejects with `conflict` when the version is too old. */
  watch(kind: Kind, options?: WatchOptions): AsyncIterable<WatchEvent>;
  exec(options: ExecOptions): Promise<RunningCommand>;
  /** The same cluster seen as another user, who is impersonated. It is disposed of with this one. */
  as(user: {
    readonly name: string;
    /** As the API knows the user; webhooks see it. */
    readonly uid?: string | undefined;
    readonly groups?: readonly string[] | undefined;
  }): Cluster;
}
