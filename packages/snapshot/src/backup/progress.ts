/** Counts what a backup does and tells those who watch. */
import type { EngineError } from '@restic-engine/repo-format';
import type { SourceCount } from '../source/source.ts';
import type { BackupItem, BackupOptions, ItemError } from './types.ts';

const INTERVAL_MS = 100;

/** What an entry added, and how long that took. */
type AddedSizes = Partial<Pick<BackupItem, 'dataSize' | 'dataSizeInRepo' | 'metadataSize' | 'durationMs'>>;

const NO_SIZES = { dataSize: 0, dataSizeInRepo: 0, metadataSize: 0, durationMs: 0 };

interface Counted {
  new: number;
  changed: number;
  unchanged: number;
}

export class Tracker {
  readonly files: Counted = { new: 0, changed: 0, unchanged: 0 };
  readonly dirs: Counted = { new: 0, changed: 0, unchanged: 0 };
  readonly errors: ItemError[] = [];
  readonly problems: Set<string> = new Set();
  /** Bytes of files that are done. */
  bytes = 0;
  readonly #options: BackupOptions;
  readonly #reading = new Set<string>();
  /** Bytes of entries that are not done yet. */
  readonly #ahead = new Map<string, number>();
  #total: SourceCount | undefined;
  #toldAt = 0;

  constructor(options: BackupOptions) {
    this.#options = options;
  }

  get wantsProgress(): boolean {
    return this.#options.onProgress !== undefined;
  }

  count(total: SourceCount): void {
    this.#total = total;
    this.#tell();
  }

  started(path: string): void {
    if (!this.wantsProgress) return;
    this.#reading.add(path);
    this.#tell();
  }

  /** More of a long content has been read. */
  read(path: string, bytes: number): void {
    if (!this.wantsProgress) return;
    this.#ahead.set(path, (this.#ahead.get(path) ?? 0) + bytes);
    this.#tell();
  }

  /** A content is stored whole; its entry is done later. */
  stored(path: string, size: number): void {
    if (!this.wantsProgress) return;
    this.#reading.delete(path);
    this.#ahead.set(path, size);
    this.#tell();
  }

  /** An entry is done. `size` in bytes counts for files; what new bytes there are matters to watchers of items only. */
  done(
    path: string,
    kind: BackupItem['kind'],
    action: BackupItem['action'],
    size: number,
    added: AddedSizes = {},
  ): void {
    if (kind === 'file') {
      this.files[action] += 1;
      this.bytes += size;
    } else if (kind === 'dir') this.dirs[action] += 1;
    const { onItem, onProgress } = this.#options;
    onItem?.({ path, kind, action, ...NO_SIZES, ...added });
    if (onProgress === undefined) return;
    this.#reading.delete(path);
    this.#ahead.delete(path);
    this.#tell();
  }

  /** An entry is left out. `started` is the path that {@link started} was told. */
  failed(path: string, error: EngineError, started: string = path): void {
    this.#reading.delete(started);
    this.#ahead.delete(started);
    const failure: ItemError = { path, during: 'archival', error };
    this.errors.push(failure);
    this.#options.onError?.(failure);
    this.#tell();
  }

  problem(text: string): void {
    this.problems.add(text);
  }

  /** The last word. */
  finish(): void {
    this.#toldAt = 0;
    this.#tell();
  }

  #tell(): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return;
    const now = performance.now();
    if (this.#toldAt !== 0 && now - this.#toldAt < INTERVAL_MS) return;
    this.#toldAt = now;
    onProgress({
      filesDone: sum(this.files),
      dirsDone: sum(this.dirs),
      bytesDone: [...this.#ahead.values()].reduce((done, bytes) => done + bytes, this.bytes),
      filesTotal: this.#total?.files,
      bytesTotal: this.#total?.bytes,
      errors: this.errors.length,
      currentFiles: firstOf(this.#reading, 8),
    });
  }
}

function firstOf(texts: ReadonlySet<string>, most: number): string[] {
  const first: string[] = [];
  for (const text of texts) {
    if (first.length === most) break;
    first.push(text);
  }
  return first;
}

function sum({ new: added, changed, unchanged }: Counted): number {
  return added + changed + unchanged;
}
