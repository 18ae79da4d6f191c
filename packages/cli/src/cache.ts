/** The local cache of a run (restic manual, "Caching"). */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Backend, CacheEntry, RepositoryCache } from 'restic-engine';
import type { Context } from './context.ts';
import type { Engine } from './open.ts';
import type { Ui } from './ui.ts';

/** Kept for later runs, or for this one only. */
export type CacheKind = 'lasting' | 'temporary';

/** A cache to open a repository with; disposing of it removes a temporary one. */
export interface CacheForRun extends AsyncDisposable {
  /** Undefined where a cache is not wanted, not possible or of no use. */
  readonly cache: RepositoryCache | undefined;
}

/** The folder of all caches. Throws `bad-request` when there is none by default. */
export function cacheFolder(engine: Engine, { env, globals }: Pick<Context, 'env' | 'globals'>): string {
  return globals.cache.folder ?? engine.defaultCacheFolder(env);
}

/** What a backup leaves out as restic does: it would change while it is read, and can be made again. */
export function ownCache(engine: Engine, context: Context): string[] {
  if (!context.globals.cache.wanted) return [];
  try {
    return [resolve(cacheFolder(engine, context))];
  } catch (error) {
    if (!engine.EngineError.is(error, 'bad-request')) throw error;
    return [];
  }
}

/** The cache for the repository at `place`. What is on this machine is read as fast as a copy of it would be. */
export async function openCache(
  context: Context,
  engine: Engine,
  place: Backend,
  kind: CacheKind = 'lasting',
): Promise<CacheForRun> {
  const { ui } = context;
  if (!context.globals.cache.wanted || engine.isLocalLocation(place.location)) return withoutCache();
  try {
    if (kind === 'temporary') return await temporaryCache(context, engine);
    return { cache: cacheIn(cacheFolder(engine, context), context, engine), [Symbol.asyncDispose]: nothing };
  } catch (error) {
    if (!engine.EngineError.is(error) && !isSystemError(error)) throw error;
    ui.warn(`unable to open cache: ${error.message}`);
    return withoutCache();
  }
}

function withoutCache(): CacheForRun {
  return { cache: undefined, [Symbol.asyncDispose]: nothing };
}

async function nothing(): Promise<void> {}

function cacheIn(folder: string, { ui }: Context, engine: Engine): RepositoryCache {
  return engine.diskCache({
    folder,
    onUnusable: (error) => ui.warn(`the cache in ${folder} cannot be used: ${error.message}`),
  });
}

/** Named so that restic, and the command that cleans up, find it should this run be killed. */
async function temporaryCache(context: Context, engine: Engine): Promise<CacheForRun> {
  const base = context.globals.cache.folder ?? tmpdir();
  await mkdir(base, { recursive: true, mode: 0o700 });
  const made = await mkdtemp(join(base, 'tmp-'));
  const folder = join(base, `restic-check-cache-${globalThis.crypto.getRandomValues(new Uint32Array(1)).join()}`);
  await rename(made, folder);
  context.ui.say(`using temporary cache in ${folder}`);
  return {
    cache: cacheIn(folder, context, engine),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * Old caches are removed where that is asked for; a person who uses one and watches is told of them. `used` is the id of
 * the repository of which a cache is about to be opened: however long that was not used, it is now.
 */
export async function lookAtOldCaches(context: Context, engine: Engine, used: string | undefined): Promise<void> {
  const { globals, ui } = context;
  if (!globals.cache.wanted || !(globals.cache.cleanUp || (ui.terminal && used !== undefined))) return;
  let folder: string;
  let old: CacheEntry[];
  try {
    folder = cacheFolder(engine, context);
    old = engine.oldCaches(await engine.listCaches(folder)).filter(({ name }) => name !== used);
  } catch (error) {
    if (!engine.EngineError.is(error)) throw error;
    ui.warn(`unable to find old cache directories: ${error.message}`);
    return;
  }
  if (old.length === 0) return;
  if (!globals.cache.cleanUp) {
    ui.say(
      `found ${old.length} old cache directories in ${folder}, run \`restic-engine cache --cleanup\` to remove them`,
    );
    return;
  }
  if (ui.terminal) ui.say(`removing ${old.length} old cache dirs from ${folder}`);
  await removeCaches(ui, engine, folder, old);
}

/** One that cannot be removed does not keep the others. */
export async function removeCaches(
  ui: Ui,
  engine: Engine,
  folder: string,
  caches: readonly CacheEntry[],
): Promise<void> {
  for (const cache of caches) {
    try {
      await engine.removeCache(folder, cache);
    } catch (error) {
      if (!engine.EngineError.is(error)) throw error;
      ui.warn(`unable to remove ${join(folder, cache.name)}: ${error.message}`);
    }
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
