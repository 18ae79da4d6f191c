/** Reading a profile with all that it inherits. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Environment } from '../globals.ts';
import { UsageError } from '../failure.ts';
import { utf8 } from '../values/text-file.ts';
import { table, textsAt, wrong } from './entry.ts';
import type { Entry, Table } from './entry.ts';
import { findProfile, profileFolders, profileName } from './find.ts';
import { rivalsOf } from './precedence.ts';

export interface Profile {
  readonly name: string;
  /** Absolute paths: its own file, then those it inherits from, the strongest first. */
  readonly files: readonly string[];
  /** All they say together. */
  readonly root: Table;
}

/** The profile that a person names, by its name or by the path of its file. Throws `UsageError` for all that is wrong. */
export async function loadProfile(text: string, env: Environment): Promise<Profile> {
  const folders = profileFolders(env);
  const file = await findProfile(text, process.cwd(), folders);
  const { root, files } = await loadFile(file, folders, []);
  return { name: profileName(file), files: [...new Set(files)], root };
}

/** The profiles a file says it inherits from, as written. */
export async function parentsOf(file: string): Promise<string[]> {
  const entry = (await readProfile(file)).members.get('inherit');
  return entry === undefined ? [] : textsAt(entry, '"inherit"');
}

interface Loaded {
  readonly root: Table;
  readonly files: readonly string[];
}

/** `below`: the files that inherit this one. */
async function loadFile(file: string, folders: readonly string[], below: readonly string[]): Promise<Loaded> {
  const own = await readProfile(file);
  const inherit = own.members.get('inherit');
  const others = [...own.members].filter(([key]) => key !== 'inherit');
  const stack = [...below, file];
  let root = table([], own.origin);
  const files: string[] = [];
  for (const parent of inherit === undefined ? [] : textsAt(inherit, '"inherit"')) {
    const origin = inherit?.origin ?? own.origin;
    const path = await findProfile(parent, dirname(file), [dirname(file), ...folders]).catch((error: unknown) => {
      throw error instanceof UsageError ? wrong(origin, error.message) : error;
    });
    if (stack.includes(path)) {
      throw wrong(origin, `profiles inherit each other: ${[...stack, path].map(profileName).join(' → ')}`);
    }
    const loaded = await loadFile(path, folders, stack);
    root = merge(root, loaded.root);
    files.unshift(...loaded.files);
  }
  return { root: merge(root, table(others, own.origin)), files: [file, ...files] };
}

async function readProfile(file: string): Promise<Table> {
  let text: string;
  try {
    text = utf8(await readFile(file)).toString();
  } catch (error) {
    throw new UsageError(`cannot read the profile: ${error instanceof Error ? error.message : String(error)}`);
  }
  // Each costs more to load than the engine itself.
  if (file.endsWith('.toml')) return (await import('./toml.ts')).readToml(text, file);
  return (await import('./yaml.ts')).readYaml(text, file);
}

/** What `over` says counts, table by table: lists are not joined. */
export function merge(base: Table, over: Table): Table {
  const members = new Map(base.members);
  for (const [key, entry] of over.members) {
    if (isOn(entry)) for (const rival of rivalsOf(key)) if (rival !== key) members.delete(rival);
    const below = members.get(key);
    members.set(key, entry.kind === 'table' && below?.kind === 'table' ? merge(below, entry) : entry);
  }
  return table(members, over.origin);
}

/** A flag that is only taken back says nothing about others. */
function isOn(entry: Entry): boolean {
  return entry.kind !== 'scalar' || entry.value !== false;
}
