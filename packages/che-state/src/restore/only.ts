/**
 * Choosing objects of a backup by words:
 *
 * ```
 * selector = kind [ "/" name ] | kind "/" namespace "/" name
 *          | "namespace:" namespace | "databases" | "database:" name
 * ```
 *
 * A kind is written as in objects or as in the API's paths, in any case: `Secret`, `configmaps`, `checluster`. A name or a
 * namespace may have `*`, which stands for any characters. `kind/name` looks in all namespaces; `namespace:user1` is the
 * namespace with everything in it. Namespaces are called as in the backup.
 */
import { EngineError } from 'restic-engine';
import type { ObjectRef } from '../objects/object.ts';

/** What some selectors choose. Everything, when there are none. */
export interface Chosen {
  object(ref: ObjectRef): boolean;
  database(name: string): boolean;
  /** The first selector that has chosen nothing so far. */
  unused(): string | undefined;
}

interface Selector {
  readonly text: string;
  readonly object: (ref: ObjectRef) => boolean;
  readonly database: (name: string) => boolean;
}

const never = (): boolean => false;

/** Rejects with `bad-request` what is no selector. */
export function choose(only: readonly string[] | undefined): Chosen {
  if (only === undefined) return { object: () => true, database: () => true, unused: () => undefined };
  const selectors = only.map(parseSelector);
  const used = new Set<string>();
  const anyOf = (matches: (selector: Selector) => boolean): boolean => {
    const matching = selectors.filter(matches);
    for (const { text } of matching) used.add(text);
    return matching.length > 0;
  };
  return {
    object: (ref) => anyOf((selector) => selector.object(ref)),
    database: (name) => anyOf((selector) => selector.database(name)),
    unused: () => selectors.find(({ text }) => !used.has(text))?.text,
  };
}

function parseSelector(text: string): Selector {
  if (text === 'databases') return { text, object: never, database: () => true };
  const colon = /^(namespace|database):([^:/]+)$/.exec(text);
  if (colon !== null) {
    const [, what = '', pattern = ''] = colon;
    const matches = glob(pattern);
    if (what === 'database') return { text, object: never, database: matches };
    return { text, object: (ref) => matches(namespaceOf(ref)), database: never };
  }
  const [kind = '', ...rest] = text.split('/');
  if (!/^[a-z]+$/i.test(kind) || rest.length > 2 || rest.includes('')) throw notUnderstood(text);
  const name = glob(rest.at(-1) ?? '*');
  const namespace = rest.length === 2 ? glob(rest[0] ?? '') : undefined;
  const word = kind.toLowerCase();
  return {
    text,
    object: (ref) =>
      (ref.kind.kind.toLowerCase() === word || ref.kind.plural === word) &&
      name(ref.name) &&
      (namespace === undefined || (ref.namespace !== undefined && namespace(ref.namespace))),
    database: never,
  };
}

/** A namespace is in itself. */
const namespaceOf = (ref: ObjectRef): string => ref.namespace ?? (ref.kind.kind === 'Namespace' ? ref.name : '');

/** Between the first and the last part each is looked for once, from left to right, so that no pattern takes long. */
function glob(pattern: string): (name: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (name) => name === pattern;
  return (name) => {
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    let from = first.length;
    for (const part of others) {
      const at = name.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return from <= name.length - last.length;
  };
}

function notUnderstood(selector: string): EngineError {
  return new EngineError(
    'bad-request',
    'a selector is kind, kind/name, kind/namespace/name, namespace:name, databases or database:name',
    { selector },
  );
}

/** For a selector that chose nothing. */
export function nothingChosen(selector: string): EngineError {
  return new EngineError('bad-request', 'this selector matches nothing in the backup', { selector });
}
