/**
 * The parts of a cluster that no test starts, played as far as backing up and restoring depends on them: namespaces that
 * are deleted become empty and vanish, what belonged to a deleted object goes with it, and the operators of Che and of
 * DevWorkspaces hold what they look after until they have cleaned up, and say what has become of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind, KubeObject, ObjectRef } from '@restic-engine/che-state';
import { KIND, KINDS } from '../crds/kinds.ts';
import { ApiError, eachOf, pathOf, type Api, type ApiEvent } from './api.ts';

export interface PlayersOptions {
  /** In which version the Che operator looks at CheClusters: one that the API serves. @default 'v1' */
  readonly cheApi?: 'v1' | 'v2';
  /** What the Che operator says it has installed. @default '7.90.0' */
  readonly cheVersion?: string;
  /** The cluster's domain. @default 'apps.one.example' */
  readonly domain?: string;
  /** How long Che takes to get ready, in milliseconds. @default 50 */
  readonly readyAfterMs?: number;
  /** How long the Che operator holds a CheCluster that is being deleted, in milliseconds. @default 200 */
  readonly finalizeAfterMs?: number;
}

export interface Players extends AsyncDisposable {
  /** Ends them; rejects with what went wrong in one of them. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Something of the API server was changed meanwhile, or is gone: the next event tells. */
const HAPPENS: readonly number[] = [404, 409];

interface Stage {
  readonly api: Api;
  readonly options: Required<PlayersOptions>;
  readonly signal: AbortSignal;
  /** Does something later, one thing after the other for each player. */
  readonly do: (work: () => Promise<unknown>) => void;
}

type Player = (stage: Stage) => Promise<void>[];

const PLAYERS: readonly Player[] = [
  namespaceController,
  volumeProtector,
  garbageCollector,
  cheOperator,
  devWorkspaceOperator,
];

export function startPlayers(api: Api, options: PlayersOptions = {}): Players {
  const ending = new AbortController();
  const { signal } = ending;
  const failures: unknown[] = [];
  const running = new Set<Promise<unknown>>();
  const keep = (work: Promise<unknown>): void => {
    const kept = work
      .catch((error: unknown) => {
        const isUsual = error instanceof ApiError && HAPPENS.includes(error.status);
        if (!isUsual && !signal.aborted) failures.push(error);
      })
      .finally(() => running.delete(kept));
    running.add(kept);
  };
  const all = {
    cheApi: 'v1' as const,
    cheVersion: '7.90.0',
    domain: 'apps.one.example',
    readyAfterMs: 50,
    finalizeAfterMs: 200,
    ...options,
  };
  for (const player of PLAYERS) {
    for (const watching of player({ api, options: all, signal, do: (work) => keep(work()) })) keep(watching);
  }
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all(running);
      if (failures.length > 0) throw new AggregateError(failures, `a player failed: ${String(failures[0])}`);
    },
  };
}

function refOf(kind: Kind, { metadata: { namespace, name } }: KubeObject): ObjectRef {
  return { kind, namespace, name };
}

/** Empties namespaces that are being deleted, as often as it takes, and lets them go. */
function namespaceController({ api, signal, do: perform }: Stage): Promise<void>[] {
  const emptying = new Set<string>();
  const empty = async (namespace: string): Promise<void> => {
    try {
      while (!signal.aborted && (await removeAllOf(api, namespace))) await sleep(50);
      await api.call('PUT', `/api/v1/namespaces/${namespace}/finalize`, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace },
        spec: { finalizers: [] },
      });
    } finally {
      emptying.delete(namespace);
    }
  };
  const onEvent = ({ type, object: { metadata } }: ApiEvent): void => {
    if (type === 'DELETED' || metadata.deletionTimestamp === undefined || emptying.has(metadata.name)) return;
    emptying.add(metadata.name);
    perform(() => empty(metadata.name));
  };
  return [api.watch(KIND.namespace, onEvent, signal)];
}

/** Asks for the deletion of everything in a namespace; resolves with whether anything was left. */
async function removeAllOf(api: Api, namespace: string): Promise<boolean> {
  let found = false;
  await eachOf(
    KINDS.filter(({ namespaced }) => namespaced),
    async (kind) => {
      const objects = await api.list(kind, namespace);
      if (objects.length === 0) return;
      found = true;
      // The one kind that can only be deleted one by one.
      if (kind === KIND.service) await eachOf(objects, (each) => api.remove(refOf(kind, each)));
      else await api.call('DELETE', pathOf(kind, namespace));
    },
  );
  return found;
}

/** Lets claims of volumes go: no pod uses any. */
function volumeProtector({ api, signal, do: perform }: Stage): Promise<void>[] {
  const kind = KIND.volumeClaim;
  const onEvent = ({ type, object }: ApiEvent): void => {
    if (type === 'DELETED' || object.metadata.deletionTimestamp === undefined) return;
    perform(() => api.merge(refOf(kind, object), { metadata: { finalizers: null } }));
  };
  return [api.watch(kind, onEvent, signal)];
}

const OWNERS: readonly Kind[] = [KIND.cheClusterV1, KIND.cheClusterV2, KIND.devWorkspace];
const OWNED: readonly Kind[] = [
  KIND.secret,
  KIND.configMap,
  KIND.volumeClaim,
  KIND.deployment,
  KIND.service,
  KIND.devWorkspaceTemplate,
  KIND.devWorkspaceRouting,
  KIND.devWorkspaceConfig,
];

/** Removes what names an owner that is not there: also what names one that never was. */
function garbageCollector({ api, signal, do: perform }: Stage): Promise<void>[] {
  const owned = new Map<string, Set<string>>();
  const refs = new Map<string, ObjectRef>();
  const collect = async (ref: ObjectRef): Promise<void> => {
    await api.remove(ref);
  };
  const check = async (ref: ObjectRef, object: KubeObject): Promise<void> => {
    for (const { kind, name, uid } of object.metadata.ownerReferences ?? []) {
      const owners = OWNERS.filter((each) => each.kind === kind);
      const found = await Promise.all(owners.map((each) => uidOf({ kind: each, namespace: ref.namespace, name })));
      if (owners.length > 0 && !found.includes(uid)) await collect(ref);
    }
  };
  const uidOf = async (owner: ObjectRef): Promise<string | undefined> => (await api.find(owner))?.metadata.uid;
  const onOwned =
    (kind: Kind) =>
    ({ type, object }: ApiEvent): void => {
      const ref = refOf(kind, object);
      const id = `${kind.kind}/${ref.namespace}/${ref.name}`;
      for (const { uid } of object.metadata.ownerReferences ?? []) {
        const those = owned.get(uid) ?? new Set<string>();
        if (type === 'DELETED') those.delete(id);
        else those.add(id);
        owned.set(uid, those);
        refs.set(id, ref);
        if (type === 'ADDED') perform(() => check(ref, object));
      }
    };
  const onOwner = ({ type, object }: ApiEvent): void => {
    if (type !== 'DELETED') return;
    for (const id of owned.get(object.metadata.uid ?? '') ?? []) {
      const ref = refs.get(id);
      if (ref !== undefined) perform(() => collect(ref));
    }
  };
  return [
    ...OWNERS.map((kind) => api.watch(kind, onOwner, signal)),
    ...OWNED.map((kind) => api.watch(kind, onOwned(kind), signal)),
  ];
}

const CHE_FINALIZERS = [
  'oauthclients.finalizers.che.eclipse.org',
  'cheGateway.clusterpermissions.finalizers.che.eclipse.org',
];

/** Looks after CheClusters of both generations: v1 is what most APIs of the tests serve. */
function cheOperator({ api, options, signal, do: perform }: Stage): Promise<void>[] {
  const kind = options.cheApi === 'v2' ? KIND.cheClusterV2 : KIND.cheClusterV1;
  const handled = new Set<string>();
  /** Does a thing of that name once for each object. */
  const once = (object: KubeObject, what: string, work: () => Promise<unknown>): void => {
    const id = `${object.metadata.uid} ${what}`;
    if (handled.has(id)) return;
    handled.add(id);
    perform(work);
  };
  const onEvent = ({ type, object }: ApiEvent): void => {
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    const ref = refOf(kind, object);
    if (type === 'DELETED') return;
    if (deletionTimestamp !== undefined) {
      return once(object, 'let go', async () => {
        await sleep(options.finalizeAfterMs, undefined, { signal });
        // Those of others stay.
        const others = (await api.get(ref)).metadata.finalizers?.filter((name) => !CHE_FINALIZERS.includes(name));
        await api.merge(ref, { metadata: { finalizers: others?.length ? others : null } });
      });
    }
    if (finalizers.length === 0) {
      once(object, 'hold', () => api.merge(ref, { metadata: { finalizers: CHE_FINALIZERS } }));
    }
    once(object, 'install', async () => {
      await sleep(options.readyAfterMs, undefined, { signal });
      await api.merge(ref, { status: cheStatus(object, options) }, 'status');
    });
  };
  return [api.watch(kind, onEvent, signal)];
}

function cheStatus({ metadata: { namespace }, spec }: KubeObject, options: Required<PlayersOptions>): object {
  const { cheVersion, domain } = options;
  const cheURL = `https://che-${namespace}.${domain}`;
  if (spec?.['server'] !== undefined) return { cheVersion, cheURL, cheClusterRunning: 'Available' };
  return { cheVersion, cheURL, chePhase: 'Active', workspaceBaseDomain: domain };
}

const ID_OVERRIDE = 'controller.devfile.io/devworkspace_id_override';
const WORKSPACE_FINALIZERS = ['storage.controller.devfile.io'];

/** Gives workspaces an id when they are made, and holds them until their files are gone. */
function devWorkspaceOperator({ api, signal, do: perform }: Stage): Promise<void>[] {
  const kind = KIND.devWorkspace;
  const begin = async (object: KubeObject): Promise<void> => {
    const ref = refOf(kind, object);
    const { uid = '', annotations = {} } = object.metadata;
    const devworkspaceId = annotations[ID_OVERRIDE] ?? `workspace${uid.split('-').slice(0, 3).join('')}`;
    await api.merge(ref, { metadata: { finalizers: WORKSPACE_FINALIZERS } });
    await api.merge(ref, { status: { devworkspaceId, phase: 'Stopped' } }, 'status');
  };
  const onEvent = ({ type, object }: ApiEvent): void => {
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    if (type === 'DELETED') return;
    if (deletionTimestamp !== undefined) {
      if (finalizers.length > 0) perform(() => api.merge(refOf(kind, object), { metadata: { finalizers: null } }));
    } else if (type === 'ADDED') perform(() => begin(object));
  };
  return [api.watch(kind, onEvent, signal)];
}
