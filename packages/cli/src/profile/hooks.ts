/** The hooks that a profile has. */
import { textAt, unknownKey, wrong } from './entry.ts';
import type { Entry, Table } from './entry.ts';
import { sectionAt } from './settings.ts';

/** The names are rustic's. */
export const HOOK_NAMES = ['run-before', 'run-after', 'run-failed', 'run-finally'] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface Hook {
  readonly name: HookName;
  /** The program and its arguments. */
  readonly words: readonly string[];
  /** For people. */
  readonly text: string;
}

export type Hooks = Readonly<Record<HookName, readonly Hook[]>>;

/** Those of the table at `path`: of the whole profile, or of one command. */
export function hooksAt(root: Table, path: readonly string[]): Hooks {
  const { members } = sectionAt(root, [...path, 'hooks']);
  for (const [key, entry] of members) {
    if (!HOOK_NAMES.some((name) => name === key)) throw unknownKey(key, entry, HOOK_NAMES);
  }
  const read = (name: HookName): Hook[] => {
    const entry = members.get(name);
    if (entry === undefined) return [];
    if (entry.kind !== 'list') throw wrong(entry.origin, `"${name}" must be a list of commands`);
    return entry.items.map((item) => ({ name, ...commandAt(item, name) }));
  };
  return {
    'run-before': read('run-before'),
    'run-after': read('run-after'),
    'run-failed': read('run-failed'),
    'run-finally': read('run-finally'),
  };
}

/** A text is for the shell, a list is a program and its arguments. */
export function commandAt(entry: Entry, what: string): { readonly words: readonly string[]; readonly text: string } {
  if (entry.kind !== 'list') {
    const text = textAt(entry, `each of "${what}"`);
    return { words: ['/bin/sh', '-c', text], text };
  }
  const words = entry.items.map((item) => textAt(item, `each word of "${what}"`));
  if (words.length === 0) throw wrong(entry.origin, `"${what}" has a command without words`);
  return { words, text: words.join(' ') };
}
