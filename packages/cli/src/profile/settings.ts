/** The parts of a profile, and what they say to one command. */
import type { Environment } from '../globals.ts';
import { table, tableAt, textAt, unknownKey, wrong } from './entry.ts';
import type { Entry, Table } from './entry.ts';
import { flagsOf } from './precedence.ts';

/** Tables of a profile that are no commands. */
const SECTIONS = ['inherit', 'global', 'env', 'hooks'] as const;
/** Refuses tables that are for no command. */
export function checkSections({ members }: Table, commands: readonly string[]): void {
  const known = [...SECTIONS, ...commands];
  for (const [key, entry] of members) {
    if (!known.includes(key)) throw unknownKey(key, entry, known);
    tableAt(entry, `"${key}"`);
  }
}

/** The table at `path`, such as `['repair', 'packs']`; empty where there is none. */
export function sectionAt(root: Table, path: readonly string[]): Table {
  let at = root;
  for (const [index, key] of path.entries()) {
    const entry = at.members.get(key);
    if (entry === undefined) return table([], root.origin);
    at = tableAt(entry, `"${path.slice(0, index + 1).join('.')}"`);
  }
  return at;
}

/**
 * The flags in the table of the command at `path`. `inner`: the commands of that command, which have tables in its
 * table.
 */
export function flagsAt(root: Table, path: readonly string[], inner: readonly string[]): Table {
  const section = sectionAt(root, path);
  const isOther = (key: string): boolean =>
    key === 'hooks' || inner.includes(key) || (key === 'sources' && path.join() === 'backup');
  return table(
    [...section.members].filter(([key]) => !isOther(key)),
    section.origin,
  );
}

/** The variables that a profile sets. */
export function variablesIn(root: Table): ReadonlyMap<string, Entry> {
  const { members } = sectionAt(root, ['env']);
  for (const [name, entry] of members) {
    textAt(entry, `"${name}"`);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw wrong(entry.origin, `"${name}" cannot be the name of a variable`);
    const flags = flagsOf(name).map((flag) => `"${flag}"`);
    if (/^RESTIC_(?:FROM_)?PASSWORD$/.test(name)) {
      throw wrong(entry.origin, `a password does not belong into a profile: use ${flags.slice(0, 2).join(' or ')}`);
    }
    if (flags.length > 0)
      throw wrong(entry.origin, `instead of "${name}", write ${flags.join(' or ')} among the flags`);
  }
  return members;
}

/** Those that `env` does not have. */
export function addedVariables(root: Table, env: Environment): Record<string, string> {
  const added = [...variablesIn(root)].filter(([name]) => !env[name]);
  return Object.fromEntries(added.map(([name, entry]) => [name, textAt(entry, name)]));
}
