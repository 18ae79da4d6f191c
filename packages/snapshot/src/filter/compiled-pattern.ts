/** One pattern and how it meets a path. */
import { cleanPath } from './clean-path.ts';
import { byteString, type Component, compileComponent } from './component.ts';

/** One pattern, compiled. Text is in byte strings. */
export interface Pattern {
  /** Its place in the list. */
  readonly order: number;
  readonly anchored: boolean;
  /** Components between one `**` and the next. If `anchored`, the first run starts at the root. */
  readonly runs: readonly (readonly Component[])[];
}

/** A path ready to be matched. */
export interface SplitPath {
  readonly absolute: boolean;
  /** Byte strings. */
  readonly names: readonly string[];
}

/** Compiles `source`, without its `!` and folded; `pattern` is the text to name when it is malformed (`bad-request`). */
export function compilePattern(source: string, pattern: string, order: number): Pattern {
  const parts = byteString(cleanPath(source)).split('/');
  const anchored = parts[0] === '';
  const runs: Component[][] = [[]];
  for (const part of anchored ? parts.slice(1) : parts) {
    // The pattern "/" has one empty component, which restic takes for "**": it matches every absolute path.
    if (part === '**' || part === '') runs.push([]);
    else runs.at(-1)?.push(compileComponent(part, pattern));
  }
  return { order, anchored, runs };
}

/** Does the pattern match the path or one of its ancestors? */
export function matchesPattern(pattern: Pattern, path: SplitPath): boolean {
  if (pattern.anchored && !path.absolute) return false;
  let at = 0;
  for (const [index, run] of pattern.runs.entries()) {
    if (run.length === 0) continue;
    const last = pattern.anchored && index === 0 ? 0 : path.names.length - run.length;
    while (at <= last && !runMatches(run, path.names, at)) at++;
    if (at > last) return false;
    at += run.length;
  }
  return true;
}

function runMatches(run: readonly Component[], names: readonly string[], at: number): boolean {
  for (let i = run.length - 1; i >= 0; i--) {
    const name = names[at + i];
    if (name === undefined || !run[i]?.matches(name)) return false;
  }
  return true;
}

/** Can an anchored pattern match something below the path? Its components and the path's agree as far as both go. */
export function onTheWay(pattern: Pattern, names: readonly string[]): boolean {
  const prefix = pattern.runs[0] ?? [];
  const common = Math.min(prefix.length, names.length);
  for (let i = 0; i < common; i++) {
    if (!prefix[i]?.matches(names[i] ?? '')) return false;
  }
  return true;
}
