/** What there is of a kind, kept up to date: a listing, then what happens after it. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { wait } from '../cluster/wait.ts';
import type { Kind, KubeObject } from '../objects/object.ts';

export interface StoreOptions {
  readonly cluster: Cluster;
  readonly kind: Kind;
  readonly namespace: string | undefined;
  /** Everything is listed again after this time, in milliseconds. */
  readonly resyncMs: number;
  readonly signal: AbortSignal;
  /** Told of each object that is there, new, changed or gone, and of all again at each listing. */
  readonly onChange: (object: KubeObject) => void;
  readonly onFailure: (error: unknown) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export class ObjectStore {
  readonly #options: StoreOptions;
  readonly #objects = new Map<string, KubeObject>();
  #synced = false;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Has everything been listed once? */
  get synced(): boolean {
    return this.#synced;
  }

  objects(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }

  /** Resolves when the signal has fired. */
  async run(): Promise<void> {
    const { signal, onFailure } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const listed = performance.now();
        await this.#follow(await this.#list(), listed);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        // What happened since a version that is too old is in the next listing.
        if (!EngineError.is(error, 'conflict')) onFailure(error);
        await pause(Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS), signal);
      }
    }
  }

  /** Resolves to the version of the listing. */
  async #list(): Promise<string | undefined> {
    const { cluster, kind, namespace, signal, onChange } = this.#options;
    const before = new Map(this.#objects);
    let version: string | undefined;
    const onVersion = (listed: string): void => void (version = listed);
    for await (const object of cluster.list(kind, { namespace, signal, onVersion })) {
      before.delete(keyOf(object));
      this.#objects.set(keyOf(object), object);
      onChange(object);
    }
    for (const [key, object] of before) {
      this.#objects.delete(key);
      onChange(object);
    }
    this.#synced = true;
    return version;
  }

  /** A watch that ended is taken up again where it ended. */
  async #follow(from: string | undefined, since: number): Promise<void> {
    const { cluster, kind, namespace, resyncMs, onChange } = this.#options;
    const resync = AbortSignal.timeout(Math.max(1, Math.round(resyncMs - (performance.now() - since))));
    const signal = AbortSignal.any([this.#options.signal, resync]);
    let resourceVersion = from;
    try {
      while (!signal.aborted) {
        for await (const { type, object } of cluster.watch(kind, { namespace, resourceVersion, signal })) {
          resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
          if (type === 'BOOKMARK') continue;
          if (type === 'DELETED') this.#objects.delete(keyOf(object));
          else this.#objects.set(keyOf(object), object);
          onChange(object);
        }
        // A server that ends each watch at once is not asked without pause.
        await pause(FIRST_PAUSE_MS, signal);
      }
    } catch (error) {
      if (!resync.aborted || this.#options.signal.aborted) throw error;
    }
  }
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
