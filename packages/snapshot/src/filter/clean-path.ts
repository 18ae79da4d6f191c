/** Lexical paths: the rules of Go's `path.Clean`, which decide what restic's patterns and targets mean. */

/**
 * The shortest path that means the same without looking at a file system: no `.`, no empty components, no trailing
 * slash, `..` only at the start of a relative path. The empty path becomes `.`.
 */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/');
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!rooted) kept.push(part);
  }
  const joined = kept.join('/');
  if (rooted) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

/** `path` seen from `base`, which is absolute; cleaned. */
export function resolvePath(base: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `${base}/${path}`);
}
