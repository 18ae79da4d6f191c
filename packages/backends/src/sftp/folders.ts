import { posix } from 'node:path';
import type { Session } from './protocol/session.ts';
import { isStatus } from './protocol/status.ts';

/** Permission bits of what a repository gets, before it is made read-only. */
export interface Modes {
  readonly folder: number;
  readonly file: number;
}

const PRIVATE: Modes = { folder: 0o700, file: 0o600 };
const SHARED: Modes = { folder: 0o770, file: 0o660 };

/** The modes for new files: shared with the group when the group may read the existing `config`, as in restic. */
export async function modesBeside(session: Session, config: string): Promise<Modes> {
  try {
    const { permissions = 0 } = await session.stat(config);
    return (permissions & 0o040) === 0 ? PRIVATE : SHARED;
  } catch (error) {
    if (!isStatus(error, 'NO_SUCH_FILE', 'PERMISSION_DENIED', 'FAILURE')) throw error;
    return PRIVATE;
  }
}

/** Makes a folder and its missing parents. Resolves with those it made, parents first. */
export async function makeFolders(session: Session, path: string, mode: number): Promise<string[]> {
  try {
    return await makeFolder(session, path, mode);
  } catch (error) {
    const parent = posix.dirname(path);
    if (!isStatus(error, 'NO_SUCH_FILE') || parent === path) throw error;
    const above = await makeFolders(session, parent, mode);
    return [...above, ...(await makeFolder(session, path, mode))];
  }
}

/** Makes a folder, unless it is there. Resolves with what it made: the folder, or nothing. */
export async function makeFolder(session: Session, path: string, mode: number): Promise<string[]> {
  try {
    await session.makeFolder(path, mode);
    return [path];
  } catch (error) {
    // Version 3 has no word for "exists"; some servers call it "permission denied" where the parent is not writable.
    const [existing] = await Promise.allSettled([session.stat(path)]);
    if (existing.status === 'rejected' || existing.value.kind !== 'folder') throw error;
    return [];
  }
}

/** Removes a folder if it is there and empty: version 3 has no word for "not empty". */
export async function removeFolder(session: Session, path: string): Promise<void> {
  try {
    await session.removeFolder(path);
  } catch (error) {
    if (!isStatus(error, 'NO_SUCH_FILE', 'FAILURE')) throw error;
  }
}
