/** What a profile's file says, with the line on which it says so. */
import { UsageError } from '../failure.ts';

export interface Origin {
  /** Absolute. */
  readonly file: string;
  readonly line: number;
}

export interface Scalar {
  readonly kind: 'scalar';
  readonly value: string | number | boolean;
  readonly origin: Origin;
}

export interface List {
  readonly kind: 'list';
  readonly items: readonly Entry[];
  readonly origin: Origin;
}

export interface Table {
  readonly kind: 'table';
  readonly members: ReadonlyMap<string, Entry>;
  readonly origin: Origin;
}

export type Entry = Scalar | List | Table;

export function table(members: Iterable<readonly [string, Entry]>, origin: Origin): Table {
  return { kind: 'table', members: new Map(members), origin };
}

/** `file:line: what`, as compilers write it. */
export function wrong({ file, line }: Origin, what: string): UsageError {
  return new UsageError(`${file}:${line}: ${what}`);
}

/** The table at `entry`; throws for anything else. `what` names it. */
export function tableAt(entry: Entry, what: string): Table {
  if (entry.kind === 'table') return entry;
  throw wrong(entry.origin, `${what} must be a table`);
}

/** The texts of a list of texts, or of one text; numbers count as what they look like. */
export function textsAt(entry: Entry, what: string): string[] {
  if (entry.kind === 'list') return entry.items.map((item) => textAt(item, `each of ${what}`));
  return [textAt(entry, what)];
}

export function textAt(entry: Entry, what: string): string {
  if (entry.kind === 'scalar' && typeof entry.value !== 'boolean') return String(entry.value);
  throw wrong(entry.origin, `${what} must be a text or a number`);
}

/** Refuses a key that is not among `known`, and names the one that is most like it. */
export function unknownKey(key: string, { origin }: Entry, known: Iterable<string>): UsageError {
  const near = nearest(key, known);
  return wrong(origin, `unknown key "${key}"${near === undefined ? '' : `, did you mean "${near}"?`}`);
}

/** The word that takes the fewest changes to come to, if that is not more than a third of it. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.ceil(word.length / 3) + 1;
  for (const candidate of known) {
    const changes = distance(word, candidate);
    if (changes >= least) continue;
    best = candidate;
    least = changes;
  }
  return best;
}

/** Letters to insert, to remove or to replace (Levenshtein). */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
