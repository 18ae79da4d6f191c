/**
 * restic's patterns for file names (restic manual, "Excluding Files"), compiled once for a whole list.
 *
 * A pattern is a path whose components may hold `*`, `?`, `[a-z]`, `[^a]` and `\`; the component `**` stands for any
 * number of components. It may begin anywhere in a path unless it starts with `/`, and what follows it in the path
 * does not matter. A leading `!` takes back what earlier patterns matched.
 */
import { compilePattern, matchesPattern, onTheWay, type Pattern, type SplitPath } from './compiled-pattern.ts';
import { byteString } from './component.ts';
import { LiteralPaths, PatternIndex } from './pattern-index.ts';

const NOT_ASCII = /[\u0080-\uffff]/;

/** What a list of patterns says about a path. */
export interface PatternMatch {
  readonly matched: boolean;
  /** Could something below the path match, should it be a directory? */
  readonly childMayMatch: boolean;
}

/** A compiled list. Paths are cleaned and use `/`; the empty path is a `RangeError`. */
export interface PatternList {
  /** Patterns in the list, without empty ones. */
  readonly size: number;
  /** Only whether the path matches; the cheaper question. */
  matches(path: string): boolean;
  match(path: string): PatternMatch;
}

/** How names are compared with patterns. */
export interface PatternOptions {
  /** Compare without case, character by character. */
  readonly ignoreCase?: boolean;
}

/**
 * Compiles patterns; empty ones are left out. Throws `bad-request`, naming the pattern, if one is malformed.
 *
 * @example
 * ```ts
 * const list = compilePatterns(['*.o', '/home/ann/.cache', '!keep.o']);
 * list.matches('/home/ann/.cache/thumbnails'); // true
 * ```
 */
export function compilePatterns(patterns: readonly string[], options: PatternOptions = {}): PatternList {
  const fold = options.ignoreCase ? lowerCase : (text: string): string => text;
  const included: Pattern[] = [];
  const negated: Pattern[] = [];
  for (const [order, pattern] of patterns.entries()) {
    if (pattern === '') continue;
    const not = pattern.startsWith('!');
    const compiled = compilePattern(fold(not ? pattern.slice(1) : pattern), pattern, order);
    (not ? negated : included).push(compiled);
  }
  return new CompiledList(included, negated, fold);
}

class CompiledList implements PatternList {
  readonly size: number;
  readonly #included: PatternIndex;
  /** Latest first: the first that matches is the one that counts. */
  readonly #negated: readonly Pattern[];
  readonly #lastFloating: number;
  readonly #literalPaths: LiteralPaths;
  readonly #anchoredGlobs: readonly Pattern[];
  readonly #fold: (text: string) => string;

  constructor(included: readonly Pattern[], negated: readonly Pattern[], fold: (text: string) => string) {
    this.size = included.length + negated.length;
    this.#fold = fold;
    this.#included = new PatternIndex(included);
    this.#negated = negated.toReversed();
    this.#lastFloating = included.findLast((pattern) => !pattern.anchored)?.order ?? -1;
    const anchored = included.filter((pattern) => pattern.anchored);
    this.#literalPaths = new LiteralPaths(anchored);
    this.#anchoredGlobs = anchored.filter((pattern) => !this.#literalPaths.holds(pattern));
  }

  matches(path: string): boolean {
    const split = this.#split(path);
    if (!this.#included.matchesAfter(split, -1)) return false;
    if (this.#negated.length === 0) return true;
    const floor = this.#lastNegated(split);
    return floor < 0 || this.#included.matchesAfter(split, floor);
  }

  match(path: string): PatternMatch {
    const split = this.#split(path);
    const floor = this.#lastNegated(split);
    return { matched: this.#included.matchesAfter(split, floor), childMayMatch: this.#childMayMatch(split, floor) };
  }

  #lastNegated(path: SplitPath): number {
    return this.#negated.find((pattern) => matchesPattern(pattern, path))?.order ?? -1;
  }

  #childMayMatch(path: SplitPath, floor: number): boolean {
    if (this.#lastFloating > floor) return true;
    if (!path.absolute) return false;
    if (this.#literalPaths.onTheWay(path.names, floor)) return true;
    return this.#anchoredGlobs.some((pattern) => pattern.order > floor && onTheWay(pattern, path.names));
  }

  #split(path: string): SplitPath {
    if (path === '') throw new RangeError('an empty path cannot be matched');
    const names = byteString(this.#fold(path)).split('/');
    const absolute = names[0] === '';
    return { absolute, names: absolute ? names.slice(1) : names };
  }
}

/**
 * Lower case for each character by itself, as Go's `strings.ToLower` has it: no final sigma, and bytes that are not
 * UTF-8 become U+FFFD.
 */
function lowerCase(text: string): string {
  if (!NOT_ASCII.test(text)) return text.toLowerCase();
  let lower = '';
  for (const char of text) {
    const folded = char.toLowerCase();
    if (!char.isWellFormed()) lower += '\ufffd';
    // U+0130 is the one character whose lower case has two.
    else lower += folded.length > char.length ? (folded[0] ?? char) : folded;
  }
  return lower;
}
