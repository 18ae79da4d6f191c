/** What a PROPFIND asks for (RFC 4918 §9.1): as much XML as that takes, and no more. */

/** The name of a property. */
export interface PropertyName {
  /** '' for none; as it stands in the request, escaped. */
  readonly namespace: string;
  readonly name: string;
}

export type Wanted =
  | { readonly kind: 'all' }
  | { readonly kind: 'names' }
  | { readonly kind: 'some'; readonly names: readonly PropertyName[] };

export const DAV = 'DAV:';
/** More than any client knows. */
const MAX_NAMES = 200;
const MAX_DEPTH = 32;

/** Text, declarations and comments, which say nothing; no document types, which could say too much. */
const NOTHING = /(?:[^<]|<\?[^?]*(?:\?(?!>)[^?]*)*\?>|<!--[^-]*(?:-(?!->)[^-]*)*-->)*/y;
const NAME = String.raw`[^\s<>/="']+`;
const TAG = new RegExp(String.raw`<(/?)(${NAME})((?:\s+${NAME}\s*=\s*(?:"[^"'<]*"|'[^"'<]*'))*)\s*(/?)>`, 'y');
const NAMESPACE = /\sxmlns(?::([^\s=]+))?\s*=\s*["']([^"']*)["']/g;

interface Element extends PropertyName {
  readonly qualified: string;
  readonly prefixes: ReadonlyMap<string, string>;
}

/** Reads the body of a PROPFIND; none asks for everything. undefined: it is not one. */
export function parsePropfind(body: string): Wanted | undefined {
  if (body.trim() === '') return { kind: 'all' };
  const elements = elementsOf(body.replace(/^\ufeff/, ''));
  const root = elements?.[0];
  if (elements === undefined || root === undefined || !isDav(root.path, ['propfind'])) return undefined;
  const found = elements.find(({ path }) => path.length === 2 && path[1]?.namespace === DAV);
  if (found === undefined) return undefined;
  if (isDav(found.path, ['propfind', 'propname'])) return { kind: 'names' };
  if (!isDav(found.path, ['propfind', 'prop'])) return { kind: 'all' };
  const names = elements.flatMap(({ path }) => (isDav(path.slice(0, 2), ['propfind', 'prop']) ? path.slice(2, 3) : []));
  const unique = new Map(names.map(({ namespace, name }) => [`${namespace} ${name}`, { namespace, name }]));
  return unique.size > MAX_NAMES ? undefined : { kind: 'some', names: [...unique.values()] };
}

function isDav(path: readonly PropertyName[], names: readonly string[]): boolean {
  return (
    path.length === names.length && path.every(({ namespace, name }, at) => namespace === DAV && name === names[at])
  );
}

/** Every element with those it is in, in the order in which they begin; undefined for what is not well-formed. */
function elementsOf(text: string): { path: Element[] }[] | undefined {
  const found: { path: Element[] }[] = [];
  const open: Element[] = [];
  for (let at = skip(text, 0); at < text.length; ) {
    const tag = tagAt(text, at);
    const isSecondRoot = open.length === 0 && found.length > 0;
    if (tag === undefined || isSecondRoot) return undefined;
    const element = tag.closes ? open.pop() : elementOf(tag, open.at(-1)?.prefixes);
    if (element?.qualified !== tag.qualified || open.length > MAX_DEPTH) return undefined;
    if (!tag.closes) found.push({ path: [...open, element] });
    if (!tag.closes && !tag.ends) open.push(element);
    at = skip(text, tag.after);
  }
  return open.length === 0 ? found : undefined;
}

interface Tag {
  readonly qualified: string;
  readonly attributes: string;
  /** `</a>` */
  readonly closes: boolean;
  /** `<a/>` */
  readonly ends: boolean;
  readonly after: number;
}

function tagAt(text: string, at: number): Tag | undefined {
  TAG.lastIndex = at;
  const found = TAG.exec(text);
  if (found === null) return undefined;
  const [whole, closes, qualified = '', attributes = '', ends] = found;
  return { qualified, attributes, closes: closes === '/', ends: ends === '/', after: at + whole.length };
}

function skip(text: string, from: number): number {
  NOTHING.lastIndex = from;
  NOTHING.exec(text);
  return NOTHING.lastIndex;
}

const NO_PREFIXES: ReadonlyMap<string, string> = new Map();

function elementOf({ qualified, attributes }: Tag, outer = NO_PREFIXES): Element | undefined {
  const declared = [...attributes.matchAll(NAMESPACE)].map(([, prefix = '', value = '']) => [prefix, value] as const);
  const prefixes = declared.length === 0 ? outer : new Map([...outer, ...declared]);
  const colon = qualified.indexOf(':');
  const namespace = prefixes.get(colon < 0 ? '' : qualified.slice(0, colon));
  if (namespace === undefined && colon >= 0) return undefined;
  return { qualified, name: qualified.slice(colon + 1), namespace: namespace ?? '', prefixes };
}
