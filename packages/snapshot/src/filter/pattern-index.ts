/** Finds the few patterns of a long list that can match a path at all. */
import { matchesPattern, type Pattern, type SplitPath } from './compiled-pattern.ts';
import type { Component } from './component.ts';

/** Patterns by something a matching path must contain: a whole name, or the extension of a name. */
export class PatternIndex {
  readonly #byName = new Map<string, Pattern[]>();
  readonly #byExtension = new Map<string, Pattern[]>();
  readonly #others: Pattern[] = [];

  constructor(patterns: readonly Pattern[]) {
    for (const pattern of patterns) {
      const components = pattern.runs.flat();
      const literal = components.findLast((component) => component.literal !== undefined)?.literal;
      const extension = components.map(extensionOf).findLast((found) => found !== undefined);
      if (literal !== undefined) append(this.#byName, literal, pattern);
      else if (extension !== undefined) append(this.#byExtension, extension, pattern);
      else this.#others.push(pattern);
    }
  }

  /** Does a pattern match that stands after place `floor` of the list? */
  matchesAfter(path: SplitPath, floor: number): boolean {
    for (const name of path.names) {
      if (anyMatches(this.#byName.get(name), path, floor)) return true;
      if (this.#byExtension.size > 0) {
        const dot = name.lastIndexOf('.');
        if (dot >= 0 && anyMatches(this.#byExtension.get(name.slice(dot)), path, floor)) return true;
      }
    }
    return anyMatches(this.#others, path, floor);
  }
}

/** `.gz` for `*.tar.gz`. */
function extensionOf(component: Component): string | undefined {
  const dot = component.suffix?.lastIndexOf('.') ?? -1;
  return dot < 0 ? undefined : component.suffix?.slice(dot);
}

function append(map: Map<string, Pattern[]>, key: string, pattern: Pattern): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [pattern]);
  else list.push(pattern);
}

function anyMatches(patterns: readonly Pattern[] | undefined, path: SplitPath, floor: number): boolean {
  if (patterns === undefined) return false;
  for (const pattern of patterns) {
    if (pattern.order > floor && matchesPattern(pattern, path)) return true;
  }
  return false;
}

/** Anchored patterns without wildcards: plain paths, of which a restore may be given thousands. */
export class LiteralPaths {
  /** Path and each path above it → the latest place in the list. */
  readonly #above = new Map<string, number>();
  readonly #whole = new Map<string, number>();

  constructor(patterns: readonly Pattern[]) {
    for (const pattern of patterns) {
      if (!this.holds(pattern)) continue;
      let path = '';
      for (const component of pattern.runs[0] ?? []) {
        path += `/${component.literal}`;
        this.#above.set(path, pattern.order);
      }
      this.#whole.set(path, pattern.order);
    }
  }

  /** Is the pattern of this kind? */
  holds(pattern: Pattern): boolean {
    const [run = [], ...more] = pattern.runs;
    return pattern.anchored && more.length === 0 && run.every((component) => component.literal !== undefined);
  }

  /** Does a path after place `floor` lie at, above or below `names`? */
  onTheWay(names: readonly string[], floor: number): boolean {
    if (this.#above.size === 0) return false;
    let path = '';
    for (const name of names) {
      path += `/${name}`;
      if ((this.#whole.get(path) ?? -1) > floor) return true;
    }
    return (this.#above.get(path) ?? -1) > floor;
  }
}
