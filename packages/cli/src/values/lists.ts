/** Lists in files: patterns, and what to back up (restic manual, "Including Files"). */
import { lstatSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import process from 'node:process';
import type { Environment } from '../globals.ts';
import { Fatal, UsageError } from '../failure.ts';
import type { Engine } from '../open.ts';
import type { Ui } from '../ui.ts';
import { utf8 } from './text-file.ts';

/** The patterns in all the files. */
export async function readPatterns(engine: Engine, paths: readonly string[], env: Environment): Promise<string[]> {
  const lists = await Promise.all(
    paths.map(async (path) => {
      const data = await readFile(path).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new UsageError(`failed to read patterns from file "${path}": ${reason}`);
      });
      return engine.parsePatternFile(data, env);
    }),
  );
  return lists.flat();
}

export interface TargetFiles {
  /** A pattern a line; `#` starts a comment. */
  readonly globs: readonly string[];
  /** A path a line. */
  readonly verbatim: readonly string[];
  /** Paths that each end with a zero byte. */
  readonly raw: readonly string[];
}

/** Every path the files name; `-` is standard input. */
export async function readTargets(engine: Engine, files: TargetFiles, ui: Ui): Promise<string[]> {
  const targets: string[] = [];
  for (const file of files.globs) {
    for (const line of lines(engine, await readInput(file))) {
      const pattern = line.trim();
      if (pattern === '' || pattern.startsWith('#')) continue;
      const found = expandGlob(engine, pattern);
      if (found.length === 0) ui.warn(`pattern "${pattern}" does not match any files, skipping`);
      targets.push(...found);
    }
  }
  for (const file of files.verbatim) {
    targets.push(...lines(engine, await readInput(file)).filter((line) => line !== ''));
  }
  for (const file of files.raw) targets.push(...rawPaths(engine, await readInput(file)));
  return targets;
}

function readInput(path: string): Promise<Uint8Array> {
  return path === '-' ? buffer(process.stdin) : readFile(path);
}

function lines(engine: Engine, data: Uint8Array): string[] {
  return engine.pathFromBytes(utf8(data)).split(/\r?\n/);
}

function rawPaths(engine: Engine, data: Uint8Array): string[] {
  if (data.length === 0) return [];
  const paths = engine.pathFromBytes(data).split('\0');
  if (paths.pop() !== '') throw new Fatal('--files-from-raw: trailing zero byte missing');
  if (paths.includes('')) throw new Fatal('--files-from-raw: empty filename in listing');
  return paths;
}

/** The paths that a pattern matches, component by component, in byte order; what cannot be read matches nothing. */
export function expandGlob(engine: Engine, pattern: string): string[] {
  if (!/[*?[\\]/.test(pattern)) return exists(engine, pattern) ? [pattern] : [];
  const slash = pattern.lastIndexOf('/');
  const name = pattern.slice(slash + 1);
  const parent = pattern.slice(0, Math.max(slash, 0));
  const parents = slash <= 0 ? [pattern.slice(0, slash + 1)] : expandGlob(engine, parent);
  const matcher = engine.compilePatterns([`/${name}`]);
  return parents.flatMap((folder) =>
    namesIn(engine, folder === '' ? '.' : folder)
      .filter((entry) => matcher.matches(`/${entry}`))
      .map((entry) => (folder === '' || folder.endsWith('/') ? folder + entry : `${folder}/${entry}`)),
  );
}

function namesIn(engine: Engine, folder: string): string[] {
  try {
    const names = readdirSync(Buffer.from(engine.pathToBytes(folder)), { encoding: 'buffer' });
    return names.map((name) => engine.pathFromBytes(name)).toSorted((a, b) => engine.compareNames(a, b));
  } catch (error) {
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

function exists(engine: Engine, path: string): boolean {
  return lstatSync(Buffer.from(engine.pathToBytes(path)), { throwIfNoEntry: false }) !== undefined;
}
