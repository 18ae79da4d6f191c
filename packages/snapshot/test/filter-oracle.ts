/** The pattern language again, slowly: recursion over characters and over components, nothing compiled, no index. */

export interface OracleMatch {
  matched: boolean;
  childMayMatch: boolean;
}

export function matchByOracle(patterns: readonly string[], path: string): OracleMatch {
  const result = { matched: false, childMayMatch: false };
  for (const pattern of patterns.filter((text) => text !== '')) {
    if (pattern.startsWith('!')) {
      if (!matches(pattern.slice(1), path)) continue;
      result.matched = false;
      result.childMayMatch = false;
    } else {
      result.matched ||= matches(pattern, path);
      result.childMayMatch ||= !pattern.startsWith('/') || matchesBelow(pattern, path);
    }
  }
  return result;
}

/** Some run of components, beginning at the root or anywhere, equals the pattern. */
function matches(pattern: string, path: string): boolean {
  const names = path.split('/').slice(1);
  if (pattern === '/') return true;
  const rooted = pattern.startsWith('/');
  const parts = pattern.split('/').slice(rooted ? 1 : 0);
  return names.some((_, from) => (from === 0 || !rooted) && startsLike(parts, names.slice(from), false));
}

/** Could the path, made longer, match? */
function matchesBelow(pattern: string, path: string): boolean {
  if (pattern === '/') return true;
  return startsLike(pattern.split('/').slice(1), path.split('/').slice(1), true);
}

function startsLike(parts: readonly string[], names: readonly string[], mayEndEarly: boolean): boolean {
  const [part, ...laterParts] = parts;
  const [name, ...laterNames] = names;
  if (part === undefined) return true;
  if (part === '**') {
    if (mayEndEarly || startsLike(laterParts, names, mayEndEarly)) return true;
    return name !== undefined && startsLike(parts, laterNames, mayEndEarly);
  }
  if (name === undefined) return mayEndEarly;
  return matchesName([...part], [...name]) && startsLike(laterParts, laterNames, mayEndEarly);
}

function matchesName(pattern: readonly string[], name: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  const [char, ...later] = name;
  if (first === undefined) return name.length === 0;
  if (first === '*') return matchesName(rest, name) || (char !== undefined && matchesName(pattern, later));
  if (char === undefined) return false;
  if (first === '[') {
    const end = pattern.indexOf(']');
    const [negation, ...members] = pattern.slice(1, end);
    const inverted = negation === '^';
    const listed = inverted ? members : pattern.slice(1, end);
    return listed.includes(char) !== inverted && matchesName(pattern.slice(end + 1), later);
  }
  return (first === '?' || first === char) && matchesName(rest, later);
}
