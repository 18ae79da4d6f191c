/** Which snapshots there are, looked for anew from time to time. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, Id } from '@restic-engine/repo-format';
import type { IndexedRepository, Repository } from '@restic-engine/repository';
import { loadSnapshot, matchesFilter } from '../find.ts';
import type { SnapshotEntry, SnapshotFilter } from '../find.ts';
import { makeLayout } from './layout.ts';
import type { Folder, LayoutOptions } from './layout.ts';

export interface ViewOptions extends LayoutOptions {
  /** Which snapshots there are. @default all */
  readonly filter?: SnapshotFilter | undefined;
  /** Milliseconds after which whoever asks lets snapshots be listed again. @default 60,000 */
  readonly refreshMs?: number | undefined;
  /** Told of snapshots that cannot be read; they are left out. */
  readonly onUnreadable?: ((snapshot: Id, error: EngineError) => void) | undefined;
  /** Ends every read. */
  readonly signal?: AbortSignal | undefined;
}

/** What there was to see at one time. */
export interface View {
  readonly indexed: IndexedRepository;
  readonly root: Folder;
}

const REFRESH_MS = 60_000;
/** Whoever tries again meets the same bytes. */
const UNREADABLE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'too-large', 'unsupported']);

export class Views {
  readonly #repository: Repository;
  readonly #options: ViewOptions;
  #snapshots: ReadonlyMap<Id, SnapshotEntry> = new Map();
  #listed: ReadonlySet<Id> = new Set();
  #view: View | undefined;
  #checkedMs = -Infinity;
  #checking: Promise<View> | undefined;

  constructor(repository: Repository, options: ViewOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  /** What is there now, or was a little while ago. */
  current(): Promise<View> {
    const { refreshMs = REFRESH_MS } = this.#options;
    const age = this.#nowMs() - this.#checkedMs;
    // A clock that was set back says nothing of the time since.
    if (this.#view !== undefined && age >= 0 && age < refreshMs) return Promise.resolve(this.#view);
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(): Promise<View> {
    const { signal } = this.#options;
    const ids = new Set<Id>();
    for await (const { name } of this.#repository.list('snapshot', { signal })) ids.add(name);
    if (this.#view === undefined || !isSame(ids, this.#listed)) this.#view = await this.#look(ids);
    this.#listed = ids;
    this.#checkedMs = this.#nowMs();
    return this.#view;
  }

  async #look(ids: ReadonlySet<Id>): Promise<View> {
    const { filter, signal } = this.#options;
    const snapshots = await this.#load([...ids]);
    // Later than the list: what a snapshot needs was stored before it.
    const indexed = await this.#repository.loadIndex({ signal });
    this.#snapshots = snapshots;
    const shown = [...snapshots.values()].filter((snapshot) => matchesFilter(snapshot, filter));
    return { indexed, root: makeLayout(shown, this.#options) };
  }

  async #load(ids: readonly Id[]): Promise<Map<Id, SnapshotEntry>> {
    const found = new Map<Id, SnapshotEntry>();
    const left = ids.values();
    const work = async (): Promise<void> => {
      for (const id of left) {
        const snapshot = this.#snapshots.get(id) ?? (await this.#read(id));
        if (snapshot !== undefined) found.set(id, snapshot);
      }
    };
    await Promise.all(Array.from({ length: this.#repository.backend.traits.connections }, work));
    return found;
  }

  /** undefined for one that nobody can read, or that was removed meanwhile. What may pass is a failure. */
  async #read(id: Id): Promise<SnapshotEntry | undefined> {
    const { signal, onUnreadable } = this.#options;
    try {
      return await loadSnapshot(this.#repository, id, { signal });
    } catch (error) {
      if (EngineError.is(error, 'not-found')) return undefined;
      if (!EngineError.is(error) || !UNREADABLE.has(error.code)) throw error;
      onUnreadable?.(id, error);
      return undefined;
    }
  }

  #nowMs(): number {
    const { seconds, nanoseconds } = this.#repository.platform.now();
    return seconds * 1000 + nanoseconds / 1e6;
  }
}

function isSame(a: ReadonlySet<Id>, b: ReadonlySet<Id>): boolean {
  return a.size === b.size && [...a].every((id) => b.has(id));
}
