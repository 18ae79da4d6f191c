/** Semantic Versioning 2.0.0, item 11: which of two versions is newer. */

interface Version {
  readonly numbers: readonly number[];
  /** Empty for a release. */
  readonly before: readonly string[];
}

/** False for what is no version, such as `next`. */
export function isNewer(version: string, than: string): boolean {
  const [a, b] = [parse(version), parse(than)];
  if (a === undefined || b === undefined) return false;
  for (const [at, number] of a.numbers.entries()) {
    const other = b.numbers[at] ?? 0;
    if (number !== other) return number > other;
  }
  return compareIdentifiers(a.before, b.before) > 0;
}

function parse(text: string): Version | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch, before] = match;
  return { numbers: [Number(major), Number(minor), Number(patch)], before: before?.split('.') ?? [] };
}

function compareIdentifiers(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (const [at, left] of a.entries()) {
    const right = b[at];
    if (right === undefined) return 1;
    if (left === right) continue;
    const [x, y] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (x && y) return Number(left) - Number(right);
    if (x !== y) return x ? -1 : 1;
    return left > right ? 1 : -1;
  }
  return a.length - b.length;
}
