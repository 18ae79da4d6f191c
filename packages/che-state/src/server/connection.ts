/** Where backups of Che are kept, ready to be opened. */
import type { Backend } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';

/** What one of the three sections of a `CheBackupServerConfiguration`, or flags, come to. */
export interface BackupServer {
  /** For people: without secrets. */
  readonly location: string;
  /** The repository's password. Never shown. */
  readonly password: string;
  /** Opens the server; the caller disposes of it. */
  open(call?: ClusterCall): Promise<Backend>;
}
