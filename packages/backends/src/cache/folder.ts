/** The folder that holds the caches of all repositories: where it is, what is in it, what of that is old. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';
import { EngineError, isId } from '@restic-engine/repo-format';
import { errno, onFile } from '../local/errors.ts';
import type { Environment } from '../scheme.ts';

/** The cache of one repository. */
export interface CacheEntry {
  /** The id in the repository's config, or `restic-check-cache-…` for what a check left behind. */
  readonly name: string;
  /** When it was last opened, in ms since the epoch. */
  readonly usedMs: number;
}

/** A day, in milliseconds. */
const DAY_MS = 86_400_000;
/** As in restic: a cache that nobody opened for so long is old. */
export const CACHE_MAX_AGE_MS: number = 30 * DAY_MS;

const CHECK_CACHE = /^restic-check-cache-[0-9]+$/;

/** Where restic's cache is on a kind of system. */
const PLACES: Partial<Record<NodeJS.Platform, (env: Environment) => string | undefined>> = {
  darwin: (env) => below(env['HOME'], 'Library', 'Caches', 'restic'),
  win32: (env) => below(env['LOCALAPPDATA'], 'restic'),
};

/**
 * Where the cache is unless one says otherwise, by restic's rules: `RESTIC_CACHE_DIR`, else a folder of the user that
 * depends on the system (restic manual, "Caching"). Throws `bad-request` when the environment names no such folder.
 */
export function defaultCacheFolder(
  env: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const place = PLACES[platform] ?? ((other: Environment) => below(xdgCache(other), 'restic'));
  const folder = env['RESTIC_CACHE_DIR'] || place(env);
  if (folder !== undefined) return folder;
  throw new EngineError('bad-request', 'there is no place for a cache: RESTIC_CACHE_DIR and the home folder are unset');
}

/** The caches in `folder`, the longest unused first. A folder that is missing has none. Rejects as the system does. */
export async function listCaches(folder: string): Promise<CacheEntry[]> {
  const caches = await onFile('list', folder, async () => {
    const names = (await unlessGone(readdir(folder), [])).filter((name) => isId(name) || CHECK_CACHE.test(name));
    return Promise.all(names.map((name) => cacheAt(folder, name)));
  });
  return caches.filter((cache) => cache !== undefined).sort((a, b) => a.usedMs - b.usedMs);
}

/** Those that nobody has opened for `maxAgeMs` milliseconds. */
export function oldCaches(
  caches: readonly CacheEntry[],
  maxAgeMs: number = CACHE_MAX_AGE_MS,
  nowMs: number = Date.now(),
): CacheEntry[] {
  return caches.filter(({ usedMs }) => usedMs < nowMs - maxAgeMs);
}

/** Removes one cache. Whatever uses it goes on without. Rejects as the system does. */
export async function removeCache(folder: string, { name }: CacheEntry): Promise<void> {
  await onFile('remove', name, () => rm(join(folder, name), { recursive: true, force: true }));
}

/** Bytes of the files in a cache, which may be in use. Rejects as the system does. */
export async function cacheSize(folder: string, { name }: CacheEntry): Promise<number> {
  return onFile('measure', name, () => bytesBelow(join(folder, name)));
}

async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await unlessGone(readdir(folder, { withFileTypes: true }), [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesBelow(path);
    else if (entry.isFile()) bytes += (await unlessGone(lstat(path), undefined))?.size ?? 0;
  }
  return bytes;
}

/** Only folders are caches: a link could lead to anything, and what is old is removed with all that is in it. */
async function cacheAt(folder: string, name: string): Promise<CacheEntry | undefined> {
  const found = await unlessGone(lstat(join(folder, name)), undefined);
  return found?.isDirectory() ? { name, usedMs: found.mtimeMs } : undefined;
}

/** Other programs are at work in the same folder. */
async function unlessGone<T, E>(work: Promise<T>, otherwise: E): Promise<T | E> {
  try {
    return await work;
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return otherwise;
  }
}

/** The base directory specification wants paths that are not absolute ignored. */
function xdgCache(env: Environment): string | undefined {
  const folder = env['XDG_CACHE_HOME'];
  return folder !== undefined && isAbsolute(folder) ? folder : below(env['HOME'], '.cache');
}

function below(folder: string | undefined, ...names: readonly string[]): string | undefined {
  return folder ? join(folder, ...names) : undefined;
}
