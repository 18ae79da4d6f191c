/** Objects that belong to the backup itself. */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { SECRET } from '../objects/kinds.ts';
import { apiVersionOf } from '../objects/object.ts';
import type { Kind, KubeObject, ObjectRef } from '../objects/object.ts';

/** Keeps what clears an installation away from what its backups need. */
export const PART_OF_BACKUP = { 'app.kubernetes.io/part-of': 'backup.che.eclipse.org' } as const;

/** An object that `make` makes of the one that is there; of none it makes a new one. Changes by others are not lost. */
export async function put(
  cluster: Cluster,
  ref: ObjectRef,
  make: (existing: KubeObject | undefined) => KubeObject,
  call: ClusterCall,
): Promise<KubeObject> {
  for (let attempt = 1; ; attempt++) {
    const existing = await cluster.get(ref, call);
    const object = make(existing);
    try {
      if (existing === undefined) return await cluster.create(ref.kind, object, call);
      return object === existing ? existing : await cluster.replace(ref.kind, object, call);
    } catch (error) {
      const another = EngineError.is(error, 'conflict') || EngineError.is(error, 'already-exists');
      if (!another || attempt === 5) throw error;
    }
  }
}

/** `existing` with other labels beside its own and other content, or a new object. */
export function objectOf(
  { kind, namespace, name }: ObjectRef,
  existing: KubeObject | undefined,
  labels: Readonly<Record<string, string>>,
  content: Readonly<Record<string, unknown>>,
): KubeObject {
  const metadata = existing?.metadata ?? { name, ...(namespace !== undefined && { namespace }) };
  return {
    ...existing,
    ...typeOf(kind),
    metadata: { ...metadata, labels: { ...existing?.metadata.labels, ...labels } },
    ...content,
  };
}

export function typeOf(kind: Kind): Pick<KubeObject, 'apiVersion' | 'kind'> {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind };
}

export function secretRef(namespace: string, name: string): ObjectRef {
  return { kind: SECRET, namespace, name };
}

/** The `data` of a Secret with these texts. */
export function secretData(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text, 'utf8').toString('base64')]),
  );
}
