/** Makes the directories of a restore. */
import { lstatSync, mkdirSync } from 'node:fs';
import { errorName } from '../../native/system-error.ts';
import { fsPath } from '../../source/fs/path.ts';
import type { RestoreRun } from '../run.ts';
import type { Folders } from './folders.ts';
import { removeOne } from './remove.ts';

/** `new`: made just now, or would be: nothing is in it. `failed` was reported. */
export type FolderState = 'new' | 'existing' | 'failed';

/** The directory in which one is made. */
export interface ParentFolder {
  readonly folder: string;
  readonly state: FolderState | undefined;
}

export class FolderMaker {
  readonly #run: RestoreRun;
  readonly #folders: Folders;

  constructor(run: RestoreRun, folders: Folders) {
    this.#run = run;
    this.#folders = folders;
  }

  /** Makes `name` in `parent`, or takes the directory that is there. Both undefined: the target. */
  make(parent: ParentFolder | undefined, name: string | undefined): FolderState {
    if (parent === undefined || name === undefined) return this.#run.sink.target.exists ? 'existing' : 'new';
    if (parent.state === 'failed') return 'failed';
    if (parent.state === 'new' && this.#run.dryRun) return 'new';
    try {
      const path = this.#folders.child(parent.folder, name);
      return this.#run.dryRun ? look(path) : make(path);
    } catch (error) {
      this.#run.report.failed(`${parent.folder}/${name}`, error);
      return 'failed';
    }
  }
}

function make(path: string): FolderState {
  const folder = fsPath(path);
  try {
    mkdirSync(folder, 0o700);
    return 'new';
  } catch (error) {
    if (errorName(error) !== 'EEXIST') throw error;
  }
  if (look(path) === 'existing') return 'existing';
  removeOne(path);
  mkdirSync(folder, 0o700);
  return 'new';
}

function look(path: string): FolderState {
  return lstatSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() ? 'existing' : 'new';
}
