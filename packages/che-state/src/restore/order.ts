/** In which order a backup is put back. */
import type { ObjectRef } from '../objects/object.ts';

/**
 * What a restore is doing: first those of the old operator, then what workspaces need.
 * `safety`: the current state is backed up. `links`: templates belong to their workspaces again.
 */
export const RESTORE_STAGES = [
  'download',
  'safety',
  'request-deletion',
  'cleanup',
  'objects',
  'cr',
  'wait-clean',
  'namespaces',
  'workspaces',
  'links',
  'database',
  'wait-final',
  'remove',
  'verify',
] as const;

export type RestoreStage = (typeof RESTORE_STAGES)[number];

/** The stages in which objects are applied. */
export type ObjectStage = 'objects' | 'cr' | 'namespaces' | 'workspaces';

/**
 * When an object is applied: what the CheCluster needs before it, for an admission webhook looks for Secrets that it
 * names; users' namespaces when Che is there; workspaces when there is everything that they use.
 */
export function stageOf(ref: ObjectRef, cheNamespace: string): ObjectStage {
  const { kind } = ref.kind;
  if (kind === 'CheCluster') return 'cr';
  if (kind === 'DevWorkspace' || kind === 'DevWorkspaceTemplate') return 'workspaces';
  const place = ref.namespace ?? (kind === 'Namespace' ? ref.name : cheNamespace);
  return place === cheNamespace ? 'objects' : 'namespaces';
}

/**
 * Groups of things of one kind, to be applied one group after the other: those of cluster scope first, namespaces first of
 * all, workspaces after templates, otherwise as their kinds come first.
 */
export function waves<T extends { readonly ref: ObjectRef }>(things: readonly T[]): readonly (readonly T[])[] {
  const groups = Map.groupBy(things, ({ ref }) => `${ref.kind.group}/${ref.kind.kind}`);
  const rank = ([first]: readonly T[]): number => {
    if (first === undefined) return 0;
    if (first.ref.kind.kind === 'Namespace') return 0;
    if (first.ref.namespace === undefined) return 1;
    return first.ref.kind.kind === 'DevWorkspace' ? 3 : 2;
  };
  return [...groups.values()].toSorted((a, b) => rank(a) - rank(b));
}
