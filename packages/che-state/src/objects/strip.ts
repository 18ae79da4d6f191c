/**
 * What is saved of an object: what somebody has said, nothing that a cluster says of it. It is the same from one backup to
 * the next while nobody changes it, and can be applied to any cluster.
 */
import { textAt } from './fields.ts';
import type { Json, KubeObject, ObjectMeta, OwnerReference } from './object.ts';

/** Names who owned an object, as `DevWorkspace/<name>`: an owner reference has a uid, which is another one each time. */
export const OWNER_ANNOTATION = 'backup.che.eclipse.org/owner';
/** Gives a new DevWorkspace the id of the one it stands for: folders on volumes and routes are named after it. */
export const ID_OVERRIDE_ANNOTATION = 'controller.devfile.io/devworkspace_id_override';
/** Into such a ConfigMap OpenShift puts the certificates of the cluster. */
const INJECTED_BUNDLE_LABEL = 'config.openshift.io/inject-trusted-cabundle';

const INJECTED_BUNDLE_KEY = 'ca-bundle.crt';
/** Longer ones are refused as an override. */
const MAX_ID_LENGTH = 25;

interface Rule {
  /** What controllers note down: annotations and labels that begin so. */
  readonly notes: readonly string[];
  /** What is not a matter of names. */
  readonly change?: (saved: KubeObject, live: KubeObject) => KubeObject;
}

const EVERY_KIND = ['kubectl.kubernetes.io/last-applied-configuration'];

/** Kinds that need more than all others. */
const RULES: Readonly<Record<string, Rule>> = {
  Namespace: {
    // The label is set by the API, to the namespace's own name.
    notes: [
      'kubernetes.io/metadata.name',
      'controller.devfile.io/node-selector',
      'controller.devfile.io/pod-tolerations',
      'openshift.io/sa.scc.',
    ],
    change: (saved) => withSpec(saved, without(saved.spec, 'finalizers')),
  },
  PersistentVolumeClaim: {
    notes: [
      'pv.kubernetes.io/bind-completed',
      'pv.kubernetes.io/bound-by-controller',
      'volume.kubernetes.io/storage-provisioner',
      'volume.beta.kubernetes.io/storage-provisioner',
      'volume.kubernetes.io/selected-node',
    ],
    change: (saved) => withSpec(saved, without(saved.spec, 'volumeName')),
  },
  ConfigMap: { notes: [], change: withoutInjectedBundle },
  DevWorkspace: {
    notes: [
      'controller.devfile.io/started-at',
      'controller.devfile.io/stopped-by',
      'controller.devfile.io/last-backup-',
    ],
    change: stopped,
  },
};

/**
 * What is saved of `object`, which stays as it is. Of `metadata` there remain name, namespace, labels and annotations,
 * with the owner noted in one of them; `status` goes, and what the rules of its kind name. What is saved already comes out
 * as it went in.
 */
export function normalize(object: KubeObject): KubeObject {
  const rule = RULES[object.kind];
  const { status: _status, metadata, ...rest } = object;
  const saved: KubeObject = { ...rest, metadata: whatIsSaid(metadata, [...EVERY_KIND, ...(rule?.notes ?? [])]) };
  return rule?.change?.(saved, object) ?? saved;
}

/** Che's dashboard writes the kind in small letters. */
export function isWorkspace({ kind }: Pick<OwnerReference, 'kind'>): boolean {
  return kind.toLowerCase() === 'devworkspace';
}

function whatIsSaid(metadata: ObjectMeta, notes: readonly string[]): ObjectMeta {
  const { name, namespace } = metadata;
  const owner = metadata.ownerReferences?.find(isWorkspace);
  const noted = owner === undefined ? {} : { [OWNER_ANNOTATION]: `DevWorkspace/${owner.name}` };
  const labels = unnoted(metadata.labels, notes);
  const annotations = { ...unnoted(metadata.annotations, notes), ...noted };
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(isEmpty(labels) ? {} : { labels }),
    ...(isEmpty(annotations) ? {} : { annotations }),
  };
}

function unnoted(
  texts: Readonly<Record<string, string>> | undefined,
  notes: readonly string[],
): Readonly<Record<string, string>> {
  const kept = Object.entries(texts ?? {}).filter(([name]) => !notes.some((note) => name.startsWith(note)));
  return Object.fromEntries(kept);
}

type Fields = Readonly<Record<string, Json | undefined>>;

function without(fields: Fields | undefined, name: string): Fields {
  const { [name]: _gone, ...rest } = fields ?? {};
  return rest;
}

function withSpec({ spec: _spec, ...rest }: KubeObject, spec: Fields): KubeObject {
  return { ...rest, ...(isEmpty(spec) ? {} : { spec }) };
}

function isEmpty(fields: object): boolean {
  return Object.keys(fields).length === 0;
}

/** What an administrator has put beside the injected certificates is saved; those come from each cluster itself. */
function withoutInjectedBundle(saved: KubeObject): KubeObject {
  const { data, ...rest } = saved;
  if (data === undefined || saved.metadata.labels?.[INJECTED_BUNDLE_LABEL] !== 'true') return saved;
  const { [INJECTED_BUNDLE_KEY]: _injected, ...own } = data;
  return { ...rest, ...(isEmpty(own) ? {} : { data: own }) };
}

/** Workspaces come back stopped, and with the id by which their files are found. */
function stopped(saved: KubeObject, live: KubeObject): KubeObject {
  const id = textAt(live.status, 'devworkspaceId');
  // Whatever was asked for when it was created, this is the one that its files are found by.
  const override = id === undefined || id.length > MAX_ID_LENGTH ? {} : { [ID_OVERRIDE_ANNOTATION]: id };
  const annotations = { ...saved.metadata.annotations, ...override };
  return {
    ...saved,
    metadata: isEmpty(annotations) ? saved.metadata : { ...saved.metadata, annotations },
    spec: { ...saved.spec, started: false },
  };
}
