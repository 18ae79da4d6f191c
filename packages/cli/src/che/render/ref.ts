/** An object in words. */
import type { ObjectRef } from '@restic-engine/che-state';

/** `Secret eclipse-che/che-tls`, `ClusterRole che` */
export function refText({ kind, namespace, name }: ObjectRef): string {
  return `${kind.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
