/** Objects of the Kubernetes API as they are on the wire: plain JSON, so that fields nobody here knows survive. */

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined };

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** The parts of `metadata` that are looked at here; others are kept as they are. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

/** Any object of the API. Treat it as immutable: who changes one makes another. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly [name: string]: Json | undefined };
  readonly status?: { readonly [name: string]: Json | undefined };
  readonly data?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** A kind as the API serves it. */
export interface Kind {
  /** `''` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The name in the API's paths, such as `configmaps`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Names one object of one cluster. */
export interface ObjectRef {
  readonly kind: Kind;
  /** undefined for what belongs to no namespace. */
  readonly namespace: string | undefined;
  readonly name: string;
}

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}
