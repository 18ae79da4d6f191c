/** Which paths of a snapshot are restored. */
import { EngineError } from '@restic-engine/repo-format';
import { compilePatterns } from '../filter/pattern.ts';
import type { PatternList } from '../filter/pattern.ts';

export interface Selection {
  readonly selected: boolean;
  /** Is it worth looking below a directory of this path? */
  readonly childMayBeSelected: boolean;
}

export interface Selector {
  /** True if everything is selected. */
  readonly all: boolean;
  /** `path` starts with `/`. */
  select(path: string): Selection;
}

export interface SelectorOptions {
  readonly include?: readonly string[] | undefined;
  readonly iinclude?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly iexclude?: readonly string[] | undefined;
}

const ALL: Selection = { selected: true, childMayBeSelected: true };
const NONE: Selection = { selected: false, childMayBeSelected: false };

/** Throws `bad-request` if including and excluding are asked for together, or a pattern is malformed. */
export function compileSelector(options: SelectorOptions): Selector {
  const includes = lists(options.include, options.iinclude);
  const excludes = lists(options.exclude, options.iexclude);
  if (includes.length > 0 && excludes.length > 0) {
    throw new EngineError('bad-request', 'include and exclude patterns exclude each other');
  }
  if (includes.length > 0) return { all: false, select: (path) => included(includes, path) };
  if (excludes.length === 0) return { all: true, select: () => ALL };
  return { all: false, select: (path) => (excludes.some((list) => list.matches(path)) ? NONE : ALL) };
}

function lists(patterns: readonly string[] = [], ignoringCase: readonly string[] = []): PatternList[] {
  const compiled = [compilePatterns(patterns), compilePatterns(ignoringCase, { ignoreCase: true })];
  return compiled.filter((list) => list.size > 0);
}

function included(includes: readonly PatternList[], path: string): Selection {
  let selected = false;
  let childMayBeSelected = false;
  for (const list of includes) {
    const { matched, childMayMatch } = list.match(path);
    selected ||= matched;
    childMayBeSelected ||= childMayMatch;
  }
  return { selected, childMayBeSelected };
}
