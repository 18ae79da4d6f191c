/** Where an object is in a backup: the layout of the old operator, and beside it what that did not save. */
import { EngineError } from 'restic-engine';
import { CHE_CLUSTER_V2, CONFIG_MAP, SECRET } from './kinds.ts';
import type { Kind, ObjectRef } from './object.ts';

export const INFO_PATH = 'backup-info.yaml';
export const CHE_CLUSTER_PATH = 'che-cr.yaml';
const DATABASE_FOLDER = 'db';

/** Folders of the Che namespace's own objects. */
const OWN_FOLDERS: ReadonlyMap<string, Kind> = new Map([
  ['configmaps', CONFIG_MAP],
  ['secrets', SECRET],
]);
/** No namespace begins with this sign. */
const NO_NAMESPACE = '_cluster';
const CORE = 'core';

/**
 * Names as the API takes them in paths (Kubernetes, "Object Names and IDs", "Path Segment Names"): no slash, no percent
 * sign, and not `.` or `..`. Names of roles may be long, and have spaces. Control characters are refused here.
 */
const NAME = /^(?!\.{1,2}$)[^/%\p{Cc}\p{Cs}]{1,1000}$/u;
const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function isNamespaceName(name: string): boolean {
  return NAMESPACE_NAME.test(name);
}

/** Where the dump of a database is. Throws `bad-request` for a name that no file can have. */
export function databasePath(name: string): string {
  if (!NAME.test(name)) throw new EngineError('bad-request', 'a database has a name that no file can have');
  return `${DATABASE_FOLDER}/${name}.sql`;
}

/** The database whose dump is at `path`; undefined for another path. */
export function databaseAt(path: string): string | undefined {
  const [folder, file = '', ...more] = path.split('/');
  const name = file.endsWith('.sql') ? file.slice(0, -'.sql'.length) : '';
  return folder === DATABASE_FOLDER && more.length === 0 && NAME.test(name) ? name : undefined;
}

/** Where `ref` is; `mine` is the namespace of Che. Throws `bad-request` for a name that no object can have. */
export function pathOf({ kind, namespace, name }: ObjectRef, mine: string): string {
  if (!NAME.test(name) || (namespace !== undefined && !NAMESPACE_NAME.test(namespace))) {
    throw new EngineError('bad-request', `no ${kind.kind} can have such a name`, { kind: kind.kind });
  }
  if (namespace === mine) {
    if (isSameKind(kind, CHE_CLUSTER_V2)) return CHE_CLUSTER_PATH;
    for (const [folder, own] of OWN_FOLDERS) if (isSameKind(kind, own)) return `${folder}/${name}.yaml`;
  }
  return `objects/${namespace ?? NO_NAMESPACE}/${kind.group === '' ? CORE : kind.group}_${kind.kind}/${name}.yaml`;
}

/**
 * What is at `path`, other than at `CHE_CLUSTER_PATH`, whose name is in the object only. Throws `corrupt` for a path that
 * {@link pathOf} cannot have made, `unsupported` for one that it would have made of a kind not among `kinds`.
 */
export function refAt(path: string, mine: string, kinds: readonly Kind[]): ObjectRef {
  const [top = '', ...below] = path.split('/');
  const own = OWN_FOLDERS.get(top);
  const ref = own === undefined ? refBelow(top, below, kinds) : { kind: own, namespace: mine, name: nameIn(below) };
  if (ref === undefined || !isPlaceOf(ref, path, mine)) {
    throw new EngineError('corrupt', 'a backup of Che has no such file', { path });
  }
  return ref;
}

function refBelow(top: string, below: readonly string[], kinds: readonly Kind[]): ObjectRef | undefined {
  const [place = '', folder = '', ...rest] = below;
  const at = folder.indexOf('_');
  if (top !== 'objects' || at < 0) return undefined;
  const [group, name] = [folder.slice(0, at), folder.slice(at + 1)];
  const kind = kinds.find((known) => known.kind === name && (known.group === '' ? CORE : known.group) === group);
  if (kind === undefined) {
    throw new EngineError('unsupported', 'the backup has a kind of object that is not known here', { folder });
  }
  const namespace = place === NO_NAMESPACE ? undefined : place;
  return kind.namespaced === (namespace !== undefined) ? { kind, namespace, name: nameIn(rest) } : undefined;
}

function nameIn(below: readonly string[]): string {
  const [file = ''] = below;
  return below.length === 1 && file.endsWith('.yaml') ? file.slice(0, -'.yaml'.length) : '';
}

function isPlaceOf(ref: ObjectRef, path: string, mine: string): boolean {
  return NAME.test(ref.name) && NAMESPACE_NAME.test(ref.namespace ?? mine) && pathOf(ref, mine) === path;
}

/** Whatever the version. */
export function isSameKind(a: Kind, b: Kind): boolean {
  return a.kind === b.kind && a.group === b.group;
}
