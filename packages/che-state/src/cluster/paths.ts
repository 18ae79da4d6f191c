/** Where kinds and objects are in the API ("Kubernetes API Concepts", "Resource URIs"), and objects as they come from it. */
import { EngineError } from 'restic-engine';
import { apiVersionOf, type Kind, type KubeObject, type ObjectRef } from '../objects/object.ts';

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `/api/v1` or `/apis/<group>/<version>`. */
export function groupPath({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** @param namespace undefined: all of them, or none */
export function kindPath(kind: Kind, namespace: string | undefined, query: Query = {}): string {
  if (namespace !== undefined && !kind.namespaced) throw new TypeError(`${kind.kind} belongs to no namespace`);
  const place = namespace === undefined ? '' : `/namespaces/${part(namespace)}`;
  return `${groupPath(kind)}${place}/${kind.plural}${queryText(query)}`;
}

export function objectPath(ref: ObjectRef, subresource?: string, query: Query = {}): string {
  if (ref.kind.namespaced && ref.namespace === undefined)
    throw new TypeError(`${ref.kind.kind} belongs to a namespace`);
  const below = subresource === undefined ? '' : `/${subresource}`;
  return `${kindPath(ref.kind, ref.namespace)}/${part(ref.name)}${below}${queryText(query)}`;
}

/** One part of a path: names with slashes or dots alone would lead elsewhere. */
function part(name: string): string {
  if (name === '' || name === '.' || name === '..') throw new TypeError(`"${name}" is no name of an object`);
  return encodeURIComponent(name);
}

function queryText(query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.append(name, String(value));
  return given.size === 0 ? '' : `?${given.toString()}`;
}

/** Where `object` is, or shall be. */
export function refOf(kind: Kind, object: KubeObject): ObjectRef {
  return { kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

/** For people: `Secret che/che-tls`. */
export function describeRef({ kind, namespace, name }: ObjectRef): string {
  return namespace === undefined ? `${kind.kind} ${name}` : `${kind.kind} ${namespace}/${name}`;
}

function isNamed(value: unknown): value is { readonly metadata: { readonly name: string } } {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string';
}

/** What the API sent as an object of `kind`. Items of lists do not say what they are; here they do. */
export function readObject(kind: Kind, json: unknown): KubeObject {
  if (!isNamed(json))
    throw new EngineError('io', 'the API answers with something that is no object', { kind: kind.kind });
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, ...json };
}
