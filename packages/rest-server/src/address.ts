/** What a request is about, told from its path (restic manual, "REST Backend"). */
import { isId } from '@restic-engine/repo-format';
import type { FileHandle, FileType } from '@restic-engine/repo-format';

/** The folders of a repository as the protocol names them. */
const TYPES: ReadonlyMap<string, FileType> = new Map([
  ['data', 'data'],
  ['index', 'index'],
  ['keys', 'key'],
  ['locks', 'lock'],
  ['snapshots', 'snapshot'],
]);

/** Folders above a repository, at most: `/alice/photos/config`. */
const MAX_FOLDERS = 2;
/** What file systems take as one name, in bytes. */
const MAX_NAME = 255;

/** The part of a repository that is asked for. */
export type Subject =
  | { readonly kind: 'repository' }
  | { readonly kind: 'list'; readonly folder: string; readonly type: FileType }
  | { readonly kind: 'file'; readonly folder: string; readonly file: FileHandle };

export interface Address {
  /** Folders above the repository's files, safe to be used as names: none, `['alice']` or `['alice', 'photos']`. */
  readonly folders: readonly string[];
  readonly subject: Subject;
  readonly query: URLSearchParams;
}

/** Reads the target of a request; undefined for everything that is no path of the protocol. */
export function parseTarget(target: string): Address | undefined {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  const names = path.split('/').map(decode);
  // A path that starts with a slash has an empty name in front.
  if (names.shift() !== '') return undefined;
  const folders: string[] = [];
  for (const name of names.slice(0, Math.min(names.length - 1, MAX_FOLDERS))) {
    if (name !== undefined && (TYPES.has(name) || name === 'config')) break;
    if (name === undefined || !isFolderName(name)) return undefined;
    folders.push(name);
  }
  const subject = subjectOf(names.slice(folders.length));
  return subject && { folders, subject, query };
}

/** One name of a path; undefined for broken escapes and for an escaped slash, which would make it two. */
function decode(part: string): string | undefined {
  try {
    const name = decodeURIComponent(part);
    return name.includes('/') ? undefined : name;
  } catch {
    return undefined;
  }
}

function isFolderName(name: string): boolean {
  if (name === '' || name === '.' || name === '..') return false;
  // Backslashes and colons part paths on some systems; nobody sees control characters in a listing.
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f\\:]/.test(name)) return false;
  return Buffer.byteLength(name) <= MAX_NAME;
}

function subjectOf([folder, name, ...more]: readonly (string | undefined)[]): Subject | undefined {
  if (folder === undefined || more.length > 0) return undefined;
  if (name === undefined) {
    if (folder === '') return { kind: 'repository' };
    return folder === 'config' ? { kind: 'file', folder, file: { type: 'config', name: '' } } : undefined;
  }
  const type = TYPES.get(folder);
  if (type === undefined) return undefined;
  if (name === '') return { kind: 'list', folder, type };
  return isId(name) ? { kind: 'file', folder, file: { type, name } } : undefined;
}
