/** What an operator is told, and tells. */
import type { EngineError } from 'restic-engine';

/** Something that happened, for whoever keeps a log. Never has what objects contain, nor secrets. */
export interface OperatorLog {
  readonly level: 'info' | 'warning' | 'error';
  /** For people. */
  readonly message: string;
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** Of an error. */
  readonly code?: EngineError['code'] | undefined;
}

export interface ElectionOptions {
  /** Name of the Lease. @default 'che-backup-operator' */
  readonly lease?: string | undefined;
  /** A leader that has not renewed for so long is replaced, in milliseconds. @default 15000 */
  readonly durationMs?: number | undefined;
  /** A leader that cannot renew for so long stops working, in milliseconds. @default 10000 */
  readonly renewDeadlineMs?: number | undefined;
  /** How often is tried, in milliseconds. @default 2000 */
  readonly retryMs?: number | undefined;
}

export interface OperatorOptions {
  /** Look after one namespace only. Default: all. */
  readonly namespace?: string | undefined;
  /** Where the Lease is. Default: the namespace of the connection. */
  readonly leaseNamespace?: string | undefined;
  /** Tells this replica from others, such as the pod's name and something random. */
  readonly identity: string;
  /** For the internal backup server; without one that cannot be set up. */
  readonly image?: string | undefined;
  /** Approve updates that wait for it when they are backed up, also without the annotation. @default false */
  readonly approveUpdates?: boolean | undefined;
  /** Stop: what is being done is aborted cleanly, and the Lease released. */
  readonly signal: AbortSignal;
  readonly log?: ((entry: OperatorLog) => void) | undefined;
  /** Serves `/healthz`, `/readyz` and `/metrics`; 0 for any free one. Default: serves nothing. */
  readonly healthPort?: number | undefined;
  /** Where it listens. @default all addresses */
  readonly healthHost?: string | undefined;
  readonly onListening?: ((port: number) => void) | undefined;
  readonly election?: ElectionOptions | undefined;
  /** After an error that may pass, in milliseconds: the first pause, doubled each time up to the longest. */
  readonly backoff?: { readonly firstMs: number; readonly longestMs: number } | undefined;
  /** Errors that may pass are final after this time, in milliseconds. @default 7200000 */
  readonly giveUpAfterMs?: number | undefined;
  /** A restore that makes no sign of life for this long is taken over, in milliseconds. @default 30000 */
  readonly takeOverAfterMs?: number | undefined;
  /**
   * A backup server that does not answer is waited for this long; then the job begins again, with the configuration as it is
   * then. In milliseconds. @default 60000
   */
  readonly serverPatienceMs?: number | undefined;
  /** How often everything is looked at that nobody tells of, in milliseconds. @default 60000 */
  readonly resyncMs?: number | undefined;
  /** The time of day. @default the system's */
  readonly now?: (() => Date) | undefined;
}
