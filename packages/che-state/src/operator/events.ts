/** Kubernetes Events about objects: what `kubectl describe` shows. */
import { randomUUID } from 'node:crypto';
import type { Cluster } from '../cluster/cluster.ts';
import { EVENT } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { rfc3339 } from '../resources/conditions.ts';

export interface EventFacts {
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

const COMPONENT = 'che-backup-operator';
/** The API refuses longer ones. */
const MAX_MESSAGE = 1024;

/** Rejects as `create` does; who tells of something goes on all the same. */
export async function recordEvent(
  cluster: Cluster,
  about: KubeObject,
  { type, reason, message }: EventFacts,
  now: Date,
  call: { readonly signal: AbortSignal },
): Promise<void> {
  const { name, namespace, uid = '', resourceVersion = '' } = about.metadata;
  const time = rfc3339(now);
  await cluster.create(
    EVENT,
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 200)}.${randomUUID().slice(0, 13)}`, namespace: namespace ?? 'default' },
      involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
      type,
      reason,
      message: message.slice(0, MAX_MESSAGE),
      source: { component: COMPONENT },
      reportingComponent: COMPONENT,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    },
    call,
  );
}
