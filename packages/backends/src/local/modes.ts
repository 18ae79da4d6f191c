import { stat } from 'node:fs/promises';
import { errno } from './errors.ts';

/** Permission bits of what a repository gets, before it is made read-only. */
export interface Modes {
  readonly folder: number;
  readonly file: number;
}

const PRIVATE: Modes = { folder: 0o700, file: 0o600 };
const SHARED: Modes = { folder: 0o770, file: 0o660 };

/** The modes for new files: shared with the group when the group may read the existing `config`, as in restic. */
export async function modesBeside(config: string): Promise<Modes> {
  try {
    const { mode } = await stat(config);
    return (mode & 0o040) === 0 ? PRIVATE : SHARED;
  } catch (error) {
    const system = errno(error);
    if (system !== 'ENOENT' && system !== 'ENOTDIR') throw error;
    return PRIVATE;
  }
}
