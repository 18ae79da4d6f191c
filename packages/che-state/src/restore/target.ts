/** Where a backup is to be restored, and what is there. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { clusterUidOf, findInstallation, infrastructureOf } from '../collect/find-installation.ts';
import type { Installation } from '../collect/installation.ts';
import { operatorVersion } from '../olm/operator.ts';
import type { BackupInfo } from '../state/info.ts';
import type { SavedState } from '../state/state.ts';
import { adapt, type Move } from './adapt.ts';
import type { RestoreTarget } from './differences.ts';
import { findRecord } from './record.ts';

export interface FindTargetOptions extends ClusterCall {
  readonly cluster: Cluster;
  readonly state: SavedState;
  readonly namespace?: string | undefined;
  readonly domain?: string | undefined;
}

export interface FoundTarget {
  readonly target: RestoreTarget;
  readonly move: Move;
  readonly installation: Installation | undefined;
}

/**
 * A restore that is under way has decided where it goes, even while there is no CheCluster. Rejects with `already-exists`
 * when Che is elsewhere and may be only once in a cluster.
 */
export async function findTarget(options: FindTargetOptions): Promise<FoundTarget> {
  const { cluster, state, signal } = options;
  const { info } = state;
  const found = await findRecord(cluster, options.namespace, info.namespace, signal);
  // Users may write such a note into their namespaces, too: that of another backup says nothing of this one.
  const noted = found?.record.snapshotId === state.snapshot.id ? found : undefined;
  const wanted = options.namespace ?? noted?.namespace;
  const installation = await installed({ ...options, namespace: wanted });
  const facts = installation === undefined ? await emptyTarget(cluster, state, signal) : factsOf(installation);
  const namespace = wanted ?? facts.namespace;
  const target: RestoreTarget = {
    ...facts,
    server: cluster.server,
    namespace,
    domain: options.domain ?? noted?.record.domain ?? facts.domain,
    cheVersion: (await runningVersion(cluster, namespace, { signal })) ?? facts.cheVersion,
  };
  return { target, move: moveOf(info, target), installation };
}

type Facts = Omit<RestoreTarget, 'server'>;

function factsOf({ cheCluster, appsDomain, ...facts }: Installation): Facts {
  const { name, uid = '' } = cheCluster.metadata;
  const { namespace, infrastructure, clusterUid, cheVersion, flavor } = facts;
  return { namespace, infrastructure, clusterUid, cheVersion, flavor, domain: appsDomain, cheCluster: { name, uid } };
}

async function emptyTarget(
  cluster: Cluster,
  { info: { namespace, flavor = 'che' } }: SavedState,
  signal: AbortSignal | undefined,
): Promise<Facts> {
  const infrastructure = await infrastructureOf(cluster, { signal });
  const clusterUid = await clusterUidOf(cluster, { signal });
  return { namespace, infrastructure, clusterUid, flavor, domain: '', cheVersion: undefined, cheCluster: undefined };
}

/** What the installation will be that is not there yet, or no more: its users' objects may be there all the same. */
export async function installationOf(
  state: SavedState,
  target: RestoreTarget,
  call: ClusterCall,
): Promise<Installation> {
  const { info } = state;
  const saved = state.objects.find(({ ref }) => ref.kind.kind === 'CheCluster');
  if (saved === undefined) throw new EngineError('corrupt', 'the backup has no CheCluster');
  const { namespace, flavor, cheVersion, infrastructure, clusterUid, domain } = target;
  return {
    generation: generationOf(state),
    cheCluster: adapt(moveOf(info, target), await state.read(saved, call)),
    namespace,
    flavor,
    cheVersion,
    infrastructure,
    clusterUid,
    appsDomain: domain,
    kubernetesVersion: info.kubernetesVersion ?? '',
  };
}

/** Who may not look for the operator goes by what it says of Che. */
async function runningVersion(cluster: Cluster, namespace: string, call: ClusterCall): Promise<string | undefined> {
  try {
    return await operatorVersion(cluster, namespace, call);
  } catch (error) {
    if (EngineError.is(error, 'denied')) return undefined;
    throw error;
  }
}

/** The way from where a backup was made to where it is restored. */
export function moveOf(info: BackupInfo, target: RestoreTarget): Move {
  const { namespace, domain, infrastructure, flavor } = target;
  return {
    from: { namespace: info.namespace, domain: info.appsDomain },
    to: { namespace, domain },
    infrastructure,
    flavor,
  };
}

/** `v1`: databases, and everything else made anew by the operator. */
export function generationOf({ objects }: SavedState): 'v1' | 'v2' {
  const cheCluster = objects.find(({ ref }) => ref.kind.kind === 'CheCluster');
  return cheCluster?.ref.kind.version === 'v1' ? 'v1' : 'v2';
}

async function installed({ cluster, state, namespace, signal }: FindTargetOptions): Promise<Installation | undefined> {
  const here = await findOrNot(cluster, { namespace: namespace ?? state.info.namespace, signal });
  if (here !== undefined || (namespace !== undefined && generationOf(state) === 'v1')) return here;
  const elsewhere = await findOrNot(cluster, { signal });
  if (elsewhere === undefined || namespace === undefined) return elsewhere;
  throw new EngineError('already-exists', 'Che is installed in another namespace, and may be there only once', {
    namespace: elsewhere.namespace,
  });
}

async function findOrNot(
  cluster: Cluster,
  options: ClusterCall & { readonly namespace?: string | undefined },
): Promise<Installation | undefined> {
  try {
    return await findInstallation(cluster, options);
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    throw error;
  }
}
