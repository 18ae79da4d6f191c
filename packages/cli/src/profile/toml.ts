/** Profiles in TOML. */
import { ParseError, parseTOML } from 'toml-eslint-parser';
import type { AST } from 'toml-eslint-parser';
import { wrong } from './entry.ts';
import type { Entry, Origin, Table } from './entry.ts';

/** A table or a list that is being filled. */
type Open =
  | { readonly kind: 'table'; readonly members: Map<string, Entry>; readonly origin: Origin }
  | { readonly kind: 'list'; readonly items: Entry[]; readonly origin: Origin };

/** Throws with the line that is wrong. */
export function readToml(text: string, file: string): Table {
  const root: Open = { kind: 'table', members: new Map(), origin: { file, line: 1 } };
  const reader = new TomlReader(text, file);
  for (const node of reader.parse().body[0].body) {
    const at = reader.origin(node);
    if (node.type === 'TOMLKeyValue') reader.add(root, node);
    else {
      const target = descend(root, node.resolvedKey, at);
      for (const pair of node.body) reader.add(target, pair);
    }
  }
  return root;
}

class TomlReader {
  readonly #text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  parse(): AST.TOMLProgram {
    try {
      return parseTOML(this.#text);
    } catch (error) {
      if (error instanceof ParseError) throw wrong({ file: this.#file, line: error.lineNumber }, error.message);
      throw error;
    }
  }

  origin(node: AST.TOMLNode): Origin {
    return { file: this.#file, line: node.loc.start.line };
  }

  add(to: Open, { key, value }: AST.TOMLKeyValue): void {
    const names = key.keys.map((part) => (part.type === 'TOMLBare' ? part.name : part.value));
    const target = descend(to, names.slice(0, -1), this.origin(key));
    if (target.kind === 'table') target.members.set(names.at(-1) ?? '', this.#entry(value));
  }

  #entry(node: AST.TOMLContentNode): Entry {
    const origin = this.origin(node);
    if (node.type === 'TOMLArray')
      return { kind: 'list', items: node.elements.map((element) => this.#entry(element)), origin };
    if (node.type === 'TOMLInlineTable') {
      const inline: Open = { kind: 'table', members: new Map(), origin };
      for (const pair of node.body) this.add(inline, pair);
      return inline;
    }
    const { value } = node;
    // A date is what was written: flags read it themselves.
    const plain = typeof value === 'object' ? this.#text.slice(...node.range) : value;
    return { kind: 'scalar', value: plain, origin };
  }
}

/** The table or list at the end of `path`, made where it is not there; a number counts the tables of a list. */
function descend(from: Open, path: readonly (string | number)[], origin: Origin): Open {
  let at = from;
  for (const [index, step] of path.entries()) {
    const found = at.kind === 'table' ? at.members.get(String(step)) : at.items[Number(step)];
    // The parser has seen to it that what is there may be added to.
    if (found !== undefined && isOpen(found)) at = found;
    else {
      const isList = typeof path[index + 1] === 'number';
      const made: Open = isList ? { kind: 'list', items: [], origin } : { kind: 'table', members: new Map(), origin };
      if (at.kind === 'table') at.members.set(String(step), made);
      else at.items.push(made);
      at = made;
    }
  }
  return at;
}

function isOpen(entry: Entry): entry is Entry & Open {
  return entry.kind !== 'scalar';
}
