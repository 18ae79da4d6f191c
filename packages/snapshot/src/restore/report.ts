/** Counts what a restore does and passes it on. */
import type { EngineError } from '@restic-engine/repo-format';
import { sinkError } from './sink-fs/errors.ts';
import { revive } from './sink-fs/session.ts';
import type { TaskReport } from './sink-fs/session.ts';
import type {
  RestoredItem,
  RestoreItemError,
  RestoreProgress,
  RestoreTreeOptions,
  RestoreTreeResult,
} from './types.ts';

const PROGRESS_MS = 100;

type Listeners = Pick<RestoreTreeOptions, 'onProgress' | 'onItem' | 'onError'>;

export class RestoreReport {
  readonly #listeners: Listeners;
  readonly #started = performance.now();
  readonly #errors: RestoreItemError[] = [];
  readonly #problems = new Set<string>();
  readonly #counts = {
    filesDone: 0,
    filesTotal: 0,
    filesSkipped: 0,
    filesDeleted: 0,
    bytesDone: 0,
    bytesTotal: 0,
    bytesSkipped: 0,
  };
  #verified: number | undefined;
  #told = 0;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  /** An item that is going to be restored. */
  expect(size: number): void {
    this.#counts.filesTotal++;
    this.#counts.bytesTotal += size;
    this.#tell();
  }

  /** Content is in place. */
  bytes(count: number): void {
    this.#counts.bytesDone += count;
    this.#tell();
  }

  done(path: string, action: RestoredItem['action'], size: number): void {
    this.#counts.filesDone++;
    this.#listeners.onItem?.({ path, action, size });
    this.#tell();
  }

  /** An existing item that is left alone, or has its content already. */
  skipped(path: string, size: number): void {
    this.#counts.filesSkipped++;
    this.#counts.bytesSkipped += size;
    this.#listeners.onItem?.({ path, action: 'unchanged', size });
    this.#tell();
  }

  deleted(path: string): void {
    this.#counts.filesDeleted++;
    this.#listeners.onItem?.({ path, action: 'deleted', size: 0 });
    this.#tell();
  }

  verified(): void {
    this.#verified = (this.#verified ?? 0) + 1;
  }

  /** Something could not be restored. `error` may come from the engine or the system. */
  failed(path: string, error: unknown): void {
    this.#failed(path, sinkError(error, path));
  }

  /** What a task met. */
  absorb(report: TaskReport): void {
    for (const { path, error } of report.errors) this.#failed(path, revive(error));
    for (const problem of report.problems) this.#problems.add(problem);
  }

  result(verify: boolean): RestoreTreeResult {
    const counts = this.#counts;
    this.#listeners.onProgress?.({ ...counts });
    return {
      filesRestored: counts.filesDone,
      filesSkipped: counts.filesSkipped,
      filesDeleted: counts.filesDeleted,
      filesTotal: counts.filesTotal,
      bytesRestored: counts.bytesDone,
      bytesSkipped: counts.bytesSkipped,
      bytesTotal: counts.bytesTotal,
      verified: verify ? (this.#verified ?? 0) : undefined,
      errors: this.#errors,
      problems: [...this.#problems],
      durationMs: performance.now() - this.#started,
    };
  }

  #failed(path: string, error: EngineError): void {
    const item: RestoreItemError = { path, during: 'restore', error };
    this.#errors.push(item);
    this.#listeners.onError?.(item);
  }

  #tell(): void {
    if (this.#listeners.onProgress === undefined) return;
    const now = performance.now();
    if (now - this.#told < PROGRESS_MS) return;
    this.#told = now;
    const progress: RestoreProgress = { ...this.#counts };
    this.#listeners.onProgress(progress);
  }
}
