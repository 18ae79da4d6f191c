/** Profiles in YAML. */
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { table, wrong } from './entry.ts';
import type { Entry, Origin, Table } from './entry.ts';

/** Throws with the line that is wrong. */
export function readYaml(text: string, file: string): Table {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const [message = ''] = error.message.split(/ at line \d+|\n/);
    throw wrong({ file, line: error.linePos?.[0].line ?? 1 }, message);
  }
  const top: Origin = { file, line: 1 };
  if (document.contents === null) return table([], top);
  const root = read(document.contents, top, lines);
  if (root.kind !== 'table') throw wrong(root.origin, 'a profile must be a table');
  return root;
}

function read(node: unknown, around: Origin, lines: LineCounter): Entry {
  if (isMap(node)) {
    const origin = originOf(node.range, around, lines);
    const members = node.items.map(({ key, value }): [string, Entry] => {
      const at = isScalar(key) ? originOf(key.range, origin, lines) : origin;
      const entry = read(value, at, lines);
      // A block stands below its key: that is where people look.
      return [isScalar(key) ? String(key.value) : '', { ...entry, origin: at }];
    });
    return table(members, origin);
  }
  if (isSeq(node)) {
    const origin = originOf(node.range, around, lines);
    return { kind: 'list', items: node.items.map((item) => read(item, origin, lines)), origin };
  }
  if (!isScalar(node)) throw wrong(around, 'aliases are not taken, "inherit" shares settings');
  const origin = originOf(node.range, around, lines);
  const { value } = node;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return { kind: 'scalar', value, origin };
  throw wrong(origin, value === null ? 'the value is missing' : 'the value must be a text, a number, true or false');
}

function originOf(
  range: readonly [number, number, number] | null | undefined,
  around: Origin,
  lines: LineCounter,
): Origin {
  return range ? { file: around.file, line: lines.linePos(range[0]).line } : around;
}
