/**
 * Plays OLM as far as the Che operator is concerned: plans what Subscriptions ask for, installs what is approved, and
 * plans the next version of the channel. It refuses to plan beside a version that no Subscription has installed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind, KubeObject } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';
import { ApiError, type Api } from './api.ts';

export interface OlmOptions {
  /** Versions of the channel, oldest first. */
  readonly versions: readonly string[];
  /** Before `.v<version>`. @default 'eclipse-che' */
  readonly prefix?: string;
  /** Versions whose CSV fails. */
  readonly failing?: readonly string[];
}

export interface Olm extends AsyncDisposable {
  /** What it has installed, as `<namespace> <csv>`. */
  readonly installed: readonly string[];
}

const OLM = 'operators.coreos.com/v1alpha1';
const POLL_MS = 100;

interface Fields {
  readonly [name: string]: unknown;
}

const fields = (value: unknown): Fields => (value ?? {}) as Fields;
const namesOf = (plan: KubeObject): readonly string[] => fields(plan.spec)['clusterServiceVersionNames'] as string[];

export function startOlm(api: Api, { versions, prefix = 'eclipse-che', failing = [] }: OlmOptions): Olm {
  const installed: string[] = [];
  const csvOf = (version: string): string => `${prefix}.v${version}`;
  const refTo = (kind: Kind, { metadata }: KubeObject) => ({
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
  });
  let planned = 0;

  const plan = async (subscription: KubeObject, csv: string): Promise<void> => {
    const { name, namespace = '', uid = '' } = subscription.metadata;
    const approval = (fields(subscription.spec)['installPlanApproval'] as string | undefined) ?? 'Automatic';
    await api.create({
      apiVersion: OLM,
      kind: 'InstallPlan',
      metadata: {
        name: `install-${(planned += 1)}-${uid.slice(0, 5)}`,
        namespace,
        ownerReferences: [{ apiVersion: OLM, kind: 'Subscription', name, uid }],
      },
      spec: {
        approval,
        approved: approval === 'Automatic',
        generation: planned,
        clusterServiceVersionNames: ['devworkspace-operator.v0.20.0', csv],
      },
    });
    await api.merge(refTo(KIND.subscription, subscription), { status: { currentCSV: csv } }, 'status');
  };

  const install = async (subscription: KubeObject, plan: KubeObject): Promise<void> => {
    const { namespace = '' } = subscription.metadata;
    const csv = namesOf(plan).find((each) => each.startsWith(prefix))!;
    const version = csv.slice(prefix.length + 2);
    const old = fields(subscription.status)['installedCSV'];
    const phase = failing.includes(version) ? 'Failed' : 'Succeeded';
    await make({
      apiVersion: OLM,
      kind: 'ClusterServiceVersion',
      metadata: { name: csv, namespace },
      spec: { version },
    });
    const ref = { kind: KIND.clusterServiceVersion, namespace, name: csv };
    await api.merge(ref, { status: { phase: 'Installing' } }, 'status');
    await sleep(POLL_MS);
    await api.merge(ref, { status: { phase } }, 'status');
    if (typeof old === 'string' && old !== csv) await remove({ ...ref, name: old });
    if (phase === 'Succeeded') await deploy(namespace, version);
    await api.merge(
      refTo(KIND.subscription, subscription),
      { status: { installedCSV: csv, currentCSV: csv } },
      'status',
    );
    await api.merge(refTo(KIND.installPlan, plan), { status: { phase: 'Complete' } }, 'status');
    installed.push(`${namespace} ${csv}`);
  };

  const make = async (object: KubeObject): Promise<void> => {
    await api.create(object).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
    });
  };

  const remove = async (ref: Parameters<Api['remove']>[0]): Promise<void> => {
    await api.remove(ref).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    });
  };

  const deploy = async (namespace: string, version: string): Promise<void> => {
    await make(operatorDeployment(namespace, version));
    await api.merge({ kind: KIND.deployment, namespace, name: 'che-operator' }, operatorDeployment(namespace, version));
  };

  /** What there is at the beginning of a turn. */
  const look = async () => {
    const [subscriptions, plans, csvs] = await Promise.all(
      [KIND.subscription, KIND.installPlan, KIND.clusterServiceVersion].map((kind) => api.list(kind)),
    );
    return { subscriptions: subscriptions!, plans: plans!, csvs: csvs! };
  };
  type Seen = Awaited<ReturnType<typeof look>>;

  const serve = async (subscription: KubeObject, { plans, csvs }: Seen): Promise<void> => {
    const { namespace, uid } = subscription.metadata;
    const mine = plans.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid === uid);
    const ready = mine.find(
      ({ spec, status }) => fields(spec)['approved'] === true && fields(status)['phase'] === undefined,
    );
    if (ready !== undefined) return install(subscription, ready);
    const { installedCSV } = fields(subscription.status);
    if (installedCSV === undefined) {
      const starting = (fields(subscription.spec)['startingCSV'] as string | undefined) ?? csvOf(versions.at(-1)!);
      const isHere = ({ metadata }: KubeObject) =>
        metadata.namespace === namespace &&
        metadata.name.startsWith(prefix) &&
        metadata.labels?.['olm.copiedFrom'] === undefined;
      // OLM does not resolve a Subscription beside a CSV that none has installed.
      if (mine.length === 0 && !csvs.some(isHere)) await plan(subscription, starting);
      return;
    }
    const next = versions[versions.findIndex((each) => csvOf(each) === installedCSV) + 1];
    if (next === undefined || mine.some((each) => namesOf(each).includes(csvOf(next)))) return;
    await plan(subscription, csvOf(next));
  };

  /** What a CSV has made goes with it, and so do the plans of a Subscription. */
  const sweep = async ({ subscriptions, plans, csvs }: Seen): Promise<void> => {
    for (const { metadata } of await api.list(KIND.deployment)) {
      const { namespace, name, annotations } = metadata;
      const csv = annotations?.['csv'];
      const isThere = csvs.some((each) => each.metadata.namespace === namespace && each.metadata.name === csv);
      if (csv !== undefined && !isThere) await removeOrphan(namespace, name, csv);
    }
    for (const each of plans) {
      const owner = each.metadata.ownerReferences?.[0]?.uid;
      if (owner !== undefined && !subscriptions.some(({ metadata }) => metadata.uid === owner))
        await remove(refTo(KIND.installPlan, each));
    }
  };

  /** What others change at the same time is seen in the next turn. */
  const calmly = async (work: Promise<void>): Promise<void> => {
    await work.catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
  };

  const removeOrphan = async (namespace: string | undefined, name: string, csv: string): Promise<void> => {
    const now = await api.list(KIND.clusterServiceVersion, namespace ?? '');
    if (!now.some(({ metadata }) => metadata.name === csv)) await remove({ kind: KIND.deployment, namespace, name });
  };

  const end = new AbortController();
  const played = (async () => {
    while (!end.signal.aborted) {
      const seen = await look();
      await Promise.all(seen.subscriptions.map((subscription) => calmly(serve(subscription, seen))));
      await calmly(sweep(seen));
      await sleep(POLL_MS);
    }
  })();
  return {
    installed,
    async [Symbol.asyncDispose]() {
      end.abort();
      await played;
    },
  };

  function operatorDeployment(namespace: string, version: string): KubeObject {
    return deployment({ namespace, version, annotations: { csv: csvOf(version) } });
  }
}

/** The Che operator's Deployment, as far as it matters. */
export function deployment(options: {
  readonly namespace: string;
  readonly version: string;
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}): KubeObject {
  const { namespace, version, name = 'che-operator', annotations = {} } = options;
  const labels = { app: 'che-operator' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, annotations },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'che-operator',
              image: `quay.io/eclipse/che-operator:${version}`,
              env: [{ name: 'CHE_VERSION', value: version }],
            },
          ],
        },
      },
    },
  };
}
