/**
 * The note of a change of version that is under way: the Subscription to be made, kept in a ConfigMap from before the old
 * one is removed until the new version runs. Who finds it goes on where another left off.
 */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall, ListOptions } from '../cluster/cluster.ts';
import { isRecord, textAt } from '../objects/fields.ts';
import { CONFIG_MAP, SUBSCRIPTION } from '../objects/kinds.ts';
import { apiVersionOf, type KubeObject } from '../objects/object.ts';
import { OPERATOR_NAMESPACES } from './operator.ts';
import { type FindSubscriptionOptions, isForChe } from './subscription.ts';

const LABELS = {
  'app.kubernetes.io/part-of': 'backup.che.eclipse.org',
  'app.kubernetes.io/component': 'operator-change',
};
/** What the administrator had set, so that it can be set again. */
const APPROVAL_BEFORE = 'backup.che.eclipse.org/approval-before';

export interface OperatorChange {
  /** Where the note is. */
  readonly noted: string;
  /** The Subscription that is to be there in the end; its `startingCSV` is the wanted one. */
  readonly subscription: KubeObject;
  /** uid of the Subscription that is to go. */
  readonly replaces: string;
}

/** Where notes are written and believed, as only administrators write there: Che's namespace, and those of operators. */
const notePlaces = (namespace: string): readonly string[] => [...new Set([namespace, ...OPERATOR_NAMESPACES])];

/**
 * The change of `old` to another CSV: everything that was set stays, but for the channel, when the CSV is in another one,
 * and the approval, which becomes manual: OLM would bring the newest version again at once.
 *
 * @param cheNamespace where it is noted, unless the Subscription is where operators for all namespaces are
 */
export function changeOf(
  old: KubeObject,
  startingCSV: string,
  channel: string | undefined,
  cheNamespace: string,
): OperatorChange {
  const { name, namespace = '', labels, annotations, uid = '' } = old.metadata;
  const approval = textAt(old.spec, 'installPlanApproval') ?? 'Automatic';
  const before = annotations?.[APPROVAL_BEFORE] ?? approval;
  return {
    noted: notePlaces(cheNamespace).includes(namespace) ? namespace : cheNamespace,
    replaces: uid,
    subscription: {
      apiVersion: apiVersionOf(SUBSCRIPTION),
      kind: SUBSCRIPTION.kind,
      metadata: {
        name,
        namespace,
        ...(labels === undefined ? {} : { labels }),
        annotations: { ...annotations, [APPROVAL_BEFORE]: before },
      },
      spec: {
        ...old.spec,
        ...(channel === undefined ? {} : { channel }),
        startingCSV,
        installPlanApproval: 'Manual',
      },
    },
  };
}

/** The change that was begun and not completed. */
export async function findChange(
  cluster: Cluster,
  { namespace, flavor, signal }: FindSubscriptionOptions & { readonly namespace: string },
): Promise<OperatorChange | undefined> {
  const labelSelector = Object.entries(LABELS)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  for (const place of notePlaces(namespace)) {
    for await (const note of notesIn(cluster, { namespace: place, labelSelector, signal })) {
      const change = readChange(note);
      if (isForChe(change.subscription, flavor)) return change;
    }
  }
  return undefined;
}

/** Who may not look into a namespace has begun nothing there. */
async function* notesIn(cluster: Cluster, options: ListOptions): AsyncGenerator<KubeObject> {
  try {
    yield* cluster.list(CONFIG_MAP, options);
  } catch (error) {
    if (!EngineError.is(error, 'denied')) throw error;
  }
}

function readChange({ metadata, data }: KubeObject): OperatorChange {
  const { name, namespace = '' } = metadata;
  const subscription = parse(data?.['subscription'] ?? '');
  if (!isSubscription(subscription)) {
    throw new EngineError('corrupt', 'the note of a change of the Che operator cannot be read', { namespace, name });
  }
  return { noted: namespace, subscription, replaces: data?.['replaces'] ?? '' };
}

export async function saveChange(cluster: Cluster, change: OperatorChange, call: ClusterCall): Promise<void> {
  const note: KubeObject = {
    apiVersion: apiVersionOf(CONFIG_MAP),
    kind: CONFIG_MAP.kind,
    metadata: { name: nameOf(change), namespace: change.noted, labels: LABELS },
    data: { subscription: JSON.stringify(change.subscription), replaces: change.replaces },
  };
  await cluster.apply(CONFIG_MAP, note, call);
}

export async function forgetChange(cluster: Cluster, change: OperatorChange, call: ClusterCall): Promise<void> {
  await cluster.remove({ kind: CONFIG_MAP, namespace: change.noted, name: nameOf(change) }, call);
}

function nameOf({ subscription }: OperatorChange): string {
  return `${subscription.metadata.name}-change`;
}

function parse(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return json;
  } catch {
    return undefined;
  }
}

function isSubscription(value: unknown): value is KubeObject {
  return (
    isRecord(value) &&
    value['kind'] === SUBSCRIPTION.kind &&
    value['apiVersion'] === apiVersionOf(SUBSCRIPTION) &&
    textAt(value, 'metadata', 'name') !== undefined &&
    textAt(value, 'metadata', 'namespace') !== undefined &&
    textAt(value, 'spec', 'startingCSV') !== undefined
  );
}
