/** What a profile backs up: several sources, each for a snapshot of its own. */
import { findGlobalFlag } from '../flags.ts';
import { table, tableAt, textAt, textsAt, wrong } from './entry.ts';
import type { Table } from './entry.ts';
import { commandAt } from './hooks.ts';
import { sectionAt } from './settings.ts';

/** Keys of a source that are no flags. */
const NO_FLAGS: ReadonlySet<string> = new Set(['name', 'paths', 'stdin-command']);
/** Flags that are for the whole command, or said in another way. */
const NOT_HERE: readonly string[] = ['dry-run', 'stdin', 'stdin-from-command'];

export interface ProfileSource {
  /** For people and metrics. */
  readonly name: string;
  /** Paths, or the words of a command. */
  readonly operands: readonly string[];
  readonly isCommand: boolean;
  /** Flags. */
  readonly settings: Table;
}

export function sourcesIn(root: Table): ProfileSource[] {
  const entry = sectionAt(root, ['backup']).members.get('sources');
  if (entry === undefined) return [];
  if (entry.kind !== 'list') throw wrong(entry.origin, '"sources" must be a list of tables');
  const names = new Set<string>();
  return entry.items.map((item) => {
    const source = readSource(tableAt(item, 'each of "sources"'));
    if (names.has(source.name)) throw wrong(item.origin, `there is another source "${source.name}": give it a "name"`);
    names.add(source.name);
    return source;
  });
}

function readSource({ members, origin }: Table): ProfileSource {
  for (const [key, { origin: at }] of members) {
    if (NOT_HERE.includes(key) || findGlobalFlag(key)) throw wrong(at, `"${key}" is not for a single source`);
  }
  const command = members.get('stdin-command');
  const paths = members.get('paths');
  const lists = [...members].filter(([key]) => key.startsWith('files-from'));
  if ((command !== undefined) === (paths !== undefined || lists.length > 0)) {
    throw wrong(origin, 'a source needs either "paths" (or "files-from") or "stdin-command"');
  }
  const settings = table(
    [...members].filter(([key]) => !NO_FLAGS.has(key)),
    origin,
  );
  const run = command && commandAt(command, 'stdin-command');
  const given = paths === undefined ? [] : textsAt(paths, '"paths"');
  const named = members.get('name') ?? (run && members.get('stdin-filename'));
  const shown = run ? 'stdin' : [...given, ...lists.flatMap(([key, entry]) => textsAt(entry, `"${key}"`))].join(', ');
  return {
    name: named === undefined ? shown : textAt(named, '"name"'),
    operands: run?.words ?? given,
    isCommand: run !== undefined,
    settings,
  };
}
