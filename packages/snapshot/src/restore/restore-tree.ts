/** Restoring a tree: windows of it are found, filled with content and finished, each stage a window ahead of the next. */
import { resolve } from 'node:path';
import { throwIfAborted } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { checkOptions } from './check-options.ts';
import { verifyFiles } from './compare.ts';
import { restoreContent } from './content.ts';
import type { ContentResult } from './content.ts';
import { cleanUp, finishAll } from './finish.ts';
import { Loader, StoreFailure } from './loader.ts';
import type { Window } from './plan.ts';
import { RestoreReport } from './report.ts';
import type { RestoreRun } from './run.ts';
import { sinkError } from './sink-fs/errors.ts';
import { closeTarget, openTarget } from './sink-fs/folders.ts';
import type { TargetSpec } from './sink-fs/folders.ts';
import type { SinkSpec } from './sink-fs/session.ts';
import type { RestoreTreeOptions, RestoreTreeResult } from './types.ts';
import { Walker } from './walker.ts';

let restores = 0;

/**
 * Restores the tree `tree` into a directory. What fails for single items is in the result.
 *
 * Rejects with `bad-request` for options that contradict each other, with the errors of loading if `tree` itself cannot
 * be read or the store fails altogether, with `denied` and the like if the target cannot be made, and with `aborted`.
 * Nothing is running any more when the promise settles.
 */
export async function restoreTree(
  indexed: IndexedRepository,
  tree: Id,
  options: RestoreTreeOptions,
): Promise<RestoreTreeResult> {
  const selector = checkOptions(options);
  throwIfAborted(options.signal);
  const target = prepareTarget(options);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const sink = sinkOf(options, target);
  const halt = (): void => void Atomics.store(sink.stop, 0, 1);
  signal.addEventListener('abort', halt, { once: true });
  const run: RestoreRun = {
    indexed,
    sink,
    selector,
    overwrite: options.overwrite ?? 'always',
    verify: options.verify === true && options.dryRun !== true,
    dryRun: options.dryRun ?? false,
    deleting: options.delete ?? false,
    report: new RestoreReport(options),
    signal,
  };
  try {
    await new Stages(run).all(tree, (reason) => stop.abort(reason));
    return run.report.result(run.verify);
  } catch (error) {
    throw error instanceof StoreFailure ? error.cause : error;
  } finally {
    signal.removeEventListener('abort', halt);
    closeTarget(target);
  }
}

function prepareTarget(options: RestoreTreeOptions): TargetSpec {
  const path = resolve(options.target);
  try {
    return openTarget(path, options.dryRun ?? false);
  } catch (error) {
    throw sinkError(error, path);
  }
}

function sinkOf(options: RestoreTreeOptions, target: TargetSpec): SinkSpec {
  return {
    serial: ++restores,
    target,
    recursive: options.delete ?? false,
    sparse: options.sparse ?? false,
    ownershipByName: options.ownershipByName ?? false,
    includeXattr: options.includeXattr ?? [],
    excludeXattr: options.excludeXattr ?? [],
    stop: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/** While one window is finished, the next one gets its content and the one after that is looked for. */
class Stages {
  readonly #run: RestoreRun;
  readonly #loader: Loader;
  #content: Promise<ContentResult | undefined> = Promise.resolve(undefined);
  #finish: Promise<void> = Promise.resolve();

  constructor(run: RestoreRun) {
    this.#run = run;
    this.#loader = new Loader(run);
  }

  async all(tree: Id, abandon: (reason: unknown) => void): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const failed = (error: unknown): undefined => {
      failure ??= { error };
      abandon(error);
      return undefined;
    };
    let before = this.#finish;
    try {
      for await (const window of new Walker(this.#run).windows(tree)) {
        // No window is begun while one before the last is not done with: memory stays bounded.
        await Promise.all([this.#content, before]);
        if (failure !== undefined) break;
        before = this.#finish;
        this.#content = restoreContent(this.#run, this.#loader, window.pieces).catch(failed);
        this.#finish = this.#finishAfter(window, this.#finish, this.#content).catch(failed);
      }
    } catch (error) {
      failed(error);
    }
    await Promise.all([this.#content, this.#finish]);
    if (failure !== undefined) throw failure.error;
    this.#loader.check();
  }

  async #finishAfter(
    window: Window,
    before: Promise<void>,
    content: Promise<ContentResult | undefined>,
  ): Promise<void> {
    await before;
    const result = await content;
    if (result === undefined) return;
    await cleanUp(this.#run, window.cleanups);
    await finishAll(this.#run, result.finishes);
    await finishAll(this.#run, window.finishes);
    if (this.#run.verify) await verifyFiles(this.#run, result.restored);
  }
}
