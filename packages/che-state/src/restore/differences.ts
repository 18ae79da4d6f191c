/** Whether a backup fits where it is to be restored. */
import { EngineError } from 'restic-engine';
import type { Infrastructure } from '../collect/installation.ts';
import type { BackupInfo } from '../state/info.ts';

/** In what a backup and its target may differ. */
export type Mismatch = 'version' | 'infrastructure' | 'namespace' | 'domain' | 'cluster';

export interface FoundMismatch {
  readonly what: Mismatch;
  readonly backup: string;
  readonly target: string;
}

/** Where a backup is restored. */
export interface RestoreTarget {
  /** The address of the API. */
  readonly server: string;
  /** Che's namespace there. */
  readonly namespace: string;
  readonly infrastructure: Infrastructure;
  /** '' when it is not known, as where Che is not installed on Kubernetes. */
  readonly domain: string;
  readonly clusterUid: string;
  /** Of the operator that runs there, else of Che as installed; undefined when neither is known. */
  readonly cheVersion: string | undefined;
  /** `che`, `codeready`, `devspaces`. */
  readonly flavor: string;
  /** The CheCluster that is there. */
  readonly cheCluster: { readonly name: string; readonly uid: string } | undefined;
}

/** What is unknown on one side does not count. */
export function mismatchesOf(info: BackupInfo, target: RestoreTarget): readonly FoundMismatch[] {
  const pairs: readonly (readonly [Mismatch, string | undefined, string | undefined])[] = [
    ['version', info.cheVersion, target.cheVersion],
    ['infrastructure', info.infrastructure, target.infrastructure],
    ['namespace', info.namespace, target.namespace],
    ['domain', info.appsDomain, target.domain],
    ['cluster', info.clusterUid, target.clusterUid],
  ];
  return pairs.flatMap(([what, backup = '', other = '']) =>
    backup === '' || other === '' || backup === other ? [] : [{ what, backup, target: other }],
  );
}

/** Rejects with `mismatch`, which names every one that is not allowed. */
export function refuseMismatches(found: readonly FoundMismatch[], allow: readonly Mismatch[]): void {
  const refused = found.filter(({ what }) => !allow.includes(what));
  if (refused.length === 0) return;
  const list = refused.map(({ what }) => what).join(', ');
  throw new EngineError(
    'mismatch',
    `the backup is of another ${list} than the target`,
    Object.fromEntries(refused.map(({ what, backup, target }) => [what, `${backup} → ${target}`])),
  );
}
