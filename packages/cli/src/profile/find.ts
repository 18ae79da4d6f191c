/** Where profiles are. */
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, extname, isAbsolute, join, resolve } from 'node:path';
import type { Environment } from '../globals.ts';
import { UsageError } from '../failure.ts';
import { isMissing } from '../values/text-file.ts';
import { nearest } from './entry.ts';

const EXTENSIONS = ['.toml', '.yaml', '.yml'] as const;

/** Where profiles are looked for by name: the user's own first, then those of the machine. */
export function profileFolders(env: Environment): string[] {
  const given = env['XDG_CONFIG_HOME'] ?? '';
  // XDG Base Directory Specification: a path that is not absolute does not count.
  const config = isAbsolute(given) ? given : join(env['HOME'] || homedir(), '.config');
  return [join(config, 'restic-engine'), '/etc/restic-engine'];
}

/** The name of the profile in a file. */
export function profileName(file: string): string {
  return basename(file, extname(file));
}

/** Is this the path of a file, rather than the name of a profile? */
function isPath(text: string): boolean {
  return /[/\\]/.test(text) || isProfileFile(text);
}

function isProfileFile(name: string): boolean {
  return EXTENSIONS.some((extension) => name.endsWith(extension));
}

/** The absolute path of a profile. `folder`: where paths begin; names are looked for in `folders`, in their order. */
export async function findProfile(text: string, folder: string, folders: readonly string[]): Promise<string> {
  if (isPath(text)) return resolve(folder, text);
  for (const place of folders) {
    for (const extension of EXTENSIONS) {
      const path = join(place, text + extension);
      if (await exists(path)) return path;
    }
  }
  const all = await listProfiles(folders);
  const near = nearest(text, all.map(profileName));
  const advice = near === undefined ? '' : `, did you mean "${near}"?`;
  throw new UsageError(`there is no profile "${text}" in ${folders.join(' or ')}${advice}`);
}

/** The files of all profiles that can be named; of those of one name the one that is found. */
export async function listProfiles(folders: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    const names = (await namesIn(folder)).filter(isProfileFile);
    names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    for (const name of names) if (!found.has(profileName(name))) found.set(profileName(name), join(folder, name));
  }
  return [...found.values()];
}

function rank(name: string): number {
  return EXTENSIONS.findIndex((extension) => name.endsWith(extension));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
