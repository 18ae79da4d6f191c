/**
 * Where the files of a repository lie below its root: restic design document, "Repository Layout" (the default layout,
 * used by local folders, SFTP and object stores alike). Paths are relative and joined with `/`.
 */
import type { FileHandle, FileType } from '@restic-engine/repo-format';

/** The folder of each type; `config` lies in the root itself. */
const FOLDERS = {
  config: '',
  data: 'data',
  index: 'index',
  key: 'keys',
  lock: 'locks',
  snapshot: 'snapshots',
} as const satisfies Record<FileType, string>;

/** The folder that holds the files of `type`; '' for the root. */
export function folderOf(type: FileType): string {
  return FOLDERS[type];
}

/** The path of one file, for example `data/3f/3f2a…` or `config`. */
export function filePath(file: FileHandle): string {
  if (file.type === 'config') return 'config';
  const folder = FOLDERS[file.type];
  return file.type === 'data' ? `${folder}/${file.name.slice(0, 2)}/${file.name}` : `${folder}/${file.name}`;
}

/** Every folder a new repository has, parents first: restic makes all 256 pack folders up front. */
export function repositoryFolders(): string[] {
  const packs = Array.from({ length: 256 }, (_, first) => `data/${first.toString(16).padStart(2, '0')}`);
  return [...Object.values(FOLDERS).filter((folder) => folder !== ''), ...packs];
}
