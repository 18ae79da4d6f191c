/** What the flags of `server:restore` say is to be restored. */
import { UsageError } from '../failure.ts';
import { givenFlags, refuseTogether } from './exclusive.ts';
import { serverFlagsGiven } from './server-choice.ts';
import type { ServerFlags } from './server-flags.ts';

export interface ChoiceFlags extends ServerFlags {
  readonly snapshotId?: string | undefined;
  readonly version?: string | undefined;
  readonly backupCrName?: string | undefined;
  readonly rollback?: true | undefined;
}

export type RestoreChoice =
  /** A snapshot of the server that flags, environment or cluster name. */
  | { readonly by: 'snapshot'; readonly id: string; readonly version: string | undefined }
  /** What a CheClusterBackup has made, on the server that it names. */
  | { readonly by: 'backup'; readonly name: string }
  /** What was made before the last update. */
  | { readonly by: 'rollback' };

/** Throws for flags that contradict each other, and where none says what is to be restored. */
export function chooseRestore(flags: ChoiceFlags): RestoreChoice {
  const server = serverFlagsGiven(flags);
  const snapshot = givenFlags(flags, ['snapshotId', 'version']);
  const backup = givenFlags(flags, ['backupCrName']);
  const rollback = givenFlags(flags, ['rollback']);
  // A backup's object says which server it is on, which version it is of, and which snapshot it is.
  refuseTogether(rollback, backup, [...snapshot, ...server]);
  if (flags.rollback) return { by: 'rollback' };
  if (flags.backupCrName) return { by: 'backup', name: flags.backupCrName };
  if (!flags.snapshotId) {
    const missing = 'say what to restore: --snapshot-id (which may be latest), --backup-cr-name or --rollback';
    throw new UsageError(flags.version === undefined ? missing : '--version needs --snapshot-id');
  }
  return { by: 'snapshot', id: flags.snapshotId, version: flags.version?.replace(/^v(?=\d)/, '') };
}
