/** What a restore would do: known, and all that it needs proven readable, before anything is changed. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { collect } from '../collect/collect.ts';
import { NAMESPACE } from '../objects/kinds.ts';
import type { ObjectRef } from '../objects/object.ts';
import { isSameKind } from '../objects/path.ts';
import type { BackupInfo } from '../state/info.ts';
import type { SavedDatabase, SavedObject, SavedState } from '../state/state.ts';
import { adaptRef, type Move } from './adapt.ts';
import {
  type FoundMismatch,
  type Mismatch,
  mismatchesOf,
  refuseMismatches,
  type RestoreTarget,
} from './differences.ts';
import { readDump } from './dump.ts';
import { compareAll, hasNamespace, keyOf } from './live.ts';
import { choose, type Chosen, nothingChosen } from './only.ts';
import { type ObjectStage, type RestoreStage, RESTORE_STAGES, stageOf } from './order.ts';
import { eachOf } from './parallel.ts';
import { findTarget, type FoundTarget, generationOf, installationOf } from './target.ts';

export interface PlanRestoreOptions extends ClusterCall {
  readonly cluster: Cluster;
  readonly state: SavedState;
  /** Che's namespace in the target. Default: where Che is installed, else that of the backup. */
  readonly namespace?: string | undefined;
  /** The domain of the target, where that cannot be found out, or is to be another one. */
  readonly domain?: string | undefined;
  /** In what the backup may differ from the target. A `domain` that is given is allowed. Default: nothing. */
  readonly allow?: readonly Mismatch[] | undefined;
  /** Which objects and databases (`restore/only.ts` has the grammar). Default: everything. */
  readonly only?: readonly string[] | undefined;
  /**
   * Also delete what a backup would take and this one does not have. Never namespaces and what is in those that the backup
   * does not have, never what is in no namespace, never volumes, and never the CheCluster. Files of deleted workspaces go
   * with them. @default false
   */
  readonly remove?: boolean | undefined;
  /** Delete the CheCluster first, with everything that belongs to it. Default: for backups with databases (v1). */
  readonly recreate?: boolean | undefined;
  readonly onProgress?: ((progress: PlanProgress) => void) | undefined;
}

/** What has been read so far. */
export interface PlanProgress {
  readonly objectsDone: number;
  readonly objectsTotal: number;
  /** Of databases' dumps. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/**
 * `replace`: it is there, and differs. `skip`: the cluster does not know such objects. `remove`, `keep`: the backup does
 * not have it.
 */
export type PlannedAction = 'create' | 'replace' | 'unchanged' | 'skip' | 'remove' | 'keep';

export interface PlannedObject {
  /** In the target. */
  readonly ref: ObjectRef;
  readonly action: PlannedAction;
  readonly stage: ObjectStage;
  /** Where it is in the snapshot; undefined for what the backup does not have. */
  readonly path: string | undefined;
  /** Name of the DevWorkspace that it belongs to. */
  readonly owner: string | undefined;
}

/** A plain value without secrets. */
export interface RestorePlan {
  /** 64 hex digits. */
  readonly snapshotId: string;
  readonly info: BackupInfo;
  readonly target: RestoreTarget;
  /** In what backup and target differ, all of it allowed. */
  readonly mismatches: readonly FoundMismatch[];
  /** Objects of the backup in the order in which they are applied, then others. */
  readonly objects: readonly PlannedObject[];
  /** Databases that are loaded. */
  readonly databases: readonly { readonly name: string; readonly bytes: number }[];
  /** Is the CheCluster that is there deleted first? */
  readonly recreate: boolean;
  readonly only: readonly string[] | undefined;
  readonly remove: boolean;
  /** What there is to do, in order; empty for nothing. */
  readonly stages: readonly RestoreStage[];
}

/**
 * Reads everything in the backup, compares it with the cluster, and says what a restore does. Changes nothing.
 *
 * Rejects with `corrupt` when anything in the backup cannot be read, `database` for a dump that loading would refuse, `mismatch` when it is of another place or version
 * than allowed (the context says which), `bad-request` for an `only` that is no selector or chooses nothing and for a
 * CheCluster of another name, `unsupported` when the cluster does not know CheClusters, `already-exists` when there is a
 * CheCluster elsewhere and can be only one, and as the calls of {@link Cluster} do.
 */
export async function planRestore(options: PlanRestoreOptions): Promise<RestorePlan> {
  const { cluster, state, allow = [], remove = false, signal } = options;
  const call = { signal };
  const chosen = choose(options.only);
  const found = await findTarget(options);
  const { target, move } = found;
  const mismatches = mismatchesOf(state.info, target);
  refuseMismatches(mismatches, options.domain === undefined ? allow : [...allow, 'domain']);
  const objects = await withNamespaces(
    options,
    move,
    state.objects.filter(({ ref }) => chosen.object(ref)),
  );
  const databases = state.databases.filter(({ name }) => chosen.database(name));
  const unused = chosen.unused();
  if (unused !== undefined) throw nothingChosen(unused);

  const unknown = await unknownKinds(cluster, objects, allow, call);
  const compared = await readAll(options, move, { objects, databases, unknown });
  const planned = objects.map(({ ref, path }): PlannedObject => {
    const there = adaptRef(move, ref);
    const { action, owner } = compared.get(path) ?? { action: 'skip' as const, owner: undefined };
    return { ref: there, path, action, owner, stage: stageOf(there, target.namespace) };
  });
  const others = options.only === undefined || remove ? await otherObjects(options, found, chosen) : [];
  const hasCheCluster = planned.some(({ stage }) => stage === 'cr');
  const recreate = hasCheCluster && (options.recreate ?? generationOf(state) === 'v1');
  if (hasCheCluster && !recreate) refuseOtherName(planned, found);
  const plan = {
    snapshotId: state.snapshot.id,
    info: state.info,
    target,
    mismatches,
    objects: [...planned, ...others],
    databases: databases.map(({ name, size }) => ({ name, bytes: size })),
    recreate,
    only: options.only,
    remove,
  };
  return { ...plan, stages: stagesOf(plan) };
}

/** Objects need the namespace that they are in. */
async function withNamespaces(
  { cluster, state, signal }: PlanRestoreOptions,
  move: Move,
  chosen: readonly SavedObject[],
): Promise<readonly SavedObject[]> {
  if (chosen.length === state.objects.length) return chosen;
  const needed = new Set(chosen.map(({ ref }) => ref.namespace));
  const have = new Set(chosen.map(({ path }) => path));
  const missing = new Set<string>();
  await eachOf(
    state.objects.filter(({ ref, path }) => isSameKind(ref.kind, NAMESPACE) && needed.has(ref.name) && !have.has(path)),
    async ({ ref, path }) => {
      if (!(await hasNamespace(cluster, adaptRef(move, ref).name, { signal }))) missing.add(path);
    },
  );
  return state.objects.filter(({ path }) => have.has(path) || missing.has(path));
}

/** Paths of objects whose kind the cluster does not know. Rejects with `mismatch` when those may not be left out. */
async function unknownKinds(
  cluster: Cluster,
  objects: readonly SavedObject[],
  allow: readonly Mismatch[],
  call: ClusterCall,
): Promise<ReadonlySet<string>> {
  const unknown = new Set<string>();
  const kinds = new Set<string>();
  for (const [kind, group] of Map.groupBy(objects, ({ ref }) => ref.kind)) {
    if (await cluster.serves(kind, call)) continue;
    if (kind.kind === 'CheCluster') {
      throw new EngineError(
        'unsupported',
        'the cluster does not know CheClusters of this version: Che must be installed',
        {
          version: kind.version,
        },
      );
    }
    kinds.add(kind.kind);
    for (const { path } of group) unknown.add(path);
  }
  if (unknown.size > 0 && !allow.includes('infrastructure')) {
    throw new EngineError('mismatch', 'the cluster does not know kinds of objects that are in the backup', {
      infrastructure: [...kinds].join(', '),
    });
  }
  return unknown;
}

/** Reads every object and every dump, those that are not chosen too, and says what happens to the chosen ones, by path. */
async function readAll(
  { cluster, state, signal, onProgress }: PlanRestoreOptions,
  move: Move,
  chosen: {
    readonly objects: readonly SavedObject[];
    readonly databases: readonly SavedDatabase[];
    /** Paths of objects whose kind the cluster does not know. */
    readonly unknown: ReadonlySet<string>;
  },
): Promise<ReadonlyMap<string, Pick<PlannedObject, 'action' | 'owner'>>> {
  const call = { signal };
  const loaded = new Set(chosen.databases.map(({ name }) => name));
  const progress = {
    objectsDone: 0,
    objectsTotal: state.objects.length,
    bytesDone: 0,
    bytesTotal: state.databases.reduce((sum, { size }) => sum + size, 0),
  };
  const tell = (): void => onProgress?.({ ...progress });
  const actions = new Map<string, Pick<PlannedObject, 'action' | 'owner'>>();
  const compared = chosen.objects.filter(({ path }) => !chosen.unknown.has(path));
  await compareAll(cluster, state, move, compared, call, ({ saved, live, owner, patch }) => {
    const action = live === undefined ? 'create' : patch === undefined ? 'unchanged' : 'replace';
    actions.set(saved.path, { action, owner });
    progress.objectsDone++;
    tell();
  });
  await eachOf(
    state.objects.filter(({ path }) => !actions.has(path)),
    async (saved) => {
      await state.read(saved, call);
      progress.objectsDone++;
      tell();
    },
  );
  for (const database of state.databases) {
    const { name } = database;
    const read = (bytes: number): void => {
      progress.bytesDone += bytes;
      tell();
    };
    await readDump(state.readDatabase(database, call), { name, isLoaded: loaded.has(name), read });
  }
  return actions;
}

/** What is in the cluster and not in the backup. */
async function otherObjects(
  { cluster, state, remove = false, signal }: PlanRestoreOptions,
  { target, move, installation }: FoundTarget,
  chosen: Chosen,
): Promise<readonly PlannedObject[]> {
  const where = installation ?? (await installationOf(state, target, { signal }));
  const back: Move = { ...move, from: move.to, to: move.from };
  const refs = state.objects.map(({ ref }) => adaptRef(move, ref));
  const known = new Set(refs.map(keyOf));
  const namespaces = new Set<string | undefined>([
    target.namespace,
    ...refs.flatMap(({ kind, name }) => (isSameKind(kind, NAMESPACE) ? [name] : [])),
  ]);
  const others: PlannedObject[] = [];
  for await (const { ref } of collect(cluster, where, { signal })) {
    if (known.has(keyOf(ref)) || !chosen.object(adaptRef(back, ref))) continue;
    // What is in no namespace, such as a role that a CheCluster names, may serve others beside Che.
    const action = remove && !isKept(ref) && namespaces.has(ref.namespace) ? 'remove' : 'keep';
    others.push({ ref, action, path: undefined, owner: undefined, stage: stageOf(ref, target.namespace) });
  }
  return others;
}

/** Never removed: with them goes what no backup has. */
const isKept = ({ kind }: ObjectRef): boolean => ['PersistentVolumeClaim', 'CheCluster'].includes(kind.kind);

/** The operator knows one CheCluster; another one beside it would be refused, or ignored. */
function refuseOtherName(planned: readonly PlannedObject[], { installation }: FoundTarget): void {
  const saved = planned.find(({ stage }) => stage === 'cr');
  if (installation === undefined || saved === undefined) return;
  const { name } = installation.cheCluster.metadata;
  if (name === saved.ref.name) return;
  throw new EngineError(
    'bad-request',
    'the CheCluster there has another name than the one in the backup: it can be recreated, not changed',
    { backup: saved.ref.name, target: name },
  );
}

/** What there is to do, in order. */
function stagesOf({ objects, databases, target, recreate }: Omit<RestorePlan, 'stages'>): readonly RestoreStage[] {
  const stages = new Set<RestoreStage>();
  for (const { action, stage } of objects) {
    if (action === 'create' || action === 'replace') stages.add(stage);
    if (action === 'remove') stages.add('remove');
  }
  if (recreate && target.cheCluster !== undefined)
    stages.add('request-deletion').add('cleanup').add('objects').add('cr');
  if (databases.length > 0) stages.add('database').add('wait-final');
  if (stages.size === 0) return [];
  if (objects.some(({ stage, path }) => stage === 'cr' && path !== undefined)) stages.add('wait-clean');
  if (objects.some(({ owner }) => owner !== undefined)) stages.add('links');
  stages.add('download').add('safety').add('verify');
  return RESTORE_STAGES.filter((stage) => stages.has(stage));
}
