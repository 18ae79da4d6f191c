/** The calls of a cluster as requests to its API. */
import { EngineError } from 'restic-engine';
import { apiVersionOf, type Kind, type KubeObject } from '../objects/object.ts';
import { Api, type ApiRequest, type Impersonated } from './api.ts';
import type { Cluster } from './cluster.ts';
import { Discovery } from './discovery.ts';
import { execInPod } from './exec.ts';
import { listPages } from './list.ts';
import { describeRef, kindPath, objectPath, readObject, refOf } from './paths.ts';
import { refusal } from './refusal.ts';
import { watchKind } from './watch.ts';

const APPLY = 'application/apply-patch+yaml';
const MERGE = 'application/merge-patch+json';
const MANAGER = 'che-backup';
const NOT_FOUND = 404;
/** What a header can hold. */
const PRINTABLE = /^[\u0020-\u007e]+$/;

type Reads = Pick<Cluster, 'serves' | 'findKind' | 'version' | 'list' | 'get' | 'watch' | 'exec'>;
type Writes = Pick<Cluster, 'create' | 'apply' | 'replace' | 'merge' | 'remove'>;

/** @param close ends what all users of a cluster share */
export function clusterOf(api: Api, namespace: string | undefined, close: () => void): Cluster {
  const discovery = new Discovery(api);
  return {
    server: api.access.server,
    namespace,
    ...reads(api, discovery),
    ...writes(api, discovery),
    as: (user) => clusterOf(api.as(checked(user)), namespace, () => undefined),
    async [Symbol.asyncDispose]() {
      close();
    },
  };
}

function reads(api: Api, discovery: Discovery): Reads {
  return {
    serves: (kind, call) => discovery.serves(kind, call?.signal),
    findKind: (apiVersion, kind, call) => discovery.findKind(apiVersion, kind, call?.signal),
    version: (call) => discovery.version(call?.signal),

    list: (kind, options = {}) =>
      listPages(api, kind, options, async () => {
        if (await discovery.serves(kind, options.signal)) throw refusal(`list ${kind.plural}`, NOT_FOUND, undefined);
      }),

    async get(ref, call) {
      const subject = `get ${describeRef(ref)}`;
      const request = { method: 'GET', path: objectPath(ref), subject, signal: call?.signal } as const;
      const { httpStatus, json, status } = await api.call(request, [NOT_FOUND]);
      if (httpStatus !== NOT_FOUND) return readObject(ref.kind, json);
      // "Not there" is believed of the API only, not of whatever else may answer.
      if (status?.name === undefined && (await discovery.serves(ref.kind, call?.signal))) {
        throw refusal(subject, NOT_FOUND, json);
      }
      return undefined;
    },

    watch: (kind, options = {}) => watchKind(api, kind, options),
    exec: (options) => execInPod(api, options),
  };
}

function writes(api: Api, discovery: Discovery): Writes {
  const changed = async (kind: Kind, request: ApiRequest): Promise<KubeObject> =>
    readObject(kind, (await api.call(request)).json);

  return {
    create(kind, object, call) {
      const path = kindPath(kind, object.metadata.namespace, { fieldManager: MANAGER });
      const subject = `create ${describeRef(refOf(kind, object))}`;
      return changed(kind, { method: 'POST', path, subject, body: typed(kind, object), repeatable: false, ...call });
    },

    apply(kind, object, { fieldManager = MANAGER, dryRun = false, signal } = {}) {
      const ref = refOf(kind, object);
      const query = { fieldManager, force: true, dryRun: dryRun ? 'All' : undefined };
      const path = objectPath(ref, undefined, query);
      const subject = `apply ${describeRef(ref)}`;
      return changed(kind, { method: 'PATCH', path, subject, body: typed(kind, object), contentType: APPLY, signal });
    },

    replace(kind, object, call) {
      const ref = refOf(kind, object);
      const path = objectPath(ref, undefined, { fieldManager: MANAGER });
      const subject = `replace ${describeRef(ref)}`;
      return changed(kind, { method: 'PUT', path, subject, body: typed(kind, object), repeatable: false, ...call });
    },

    merge(ref, patch, { subresource, signal } = {}) {
      const path = objectPath(ref, subresource, { fieldManager: MANAGER });
      const subject = `change ${subresource === undefined ? '' : `the ${subresource} of `}${describeRef(ref)}`;
      return changed(ref.kind, { method: 'PATCH', path, subject, body: patch, contentType: MERGE, signal });
    },

    async remove(ref, { uid, propagation = 'Background', signal } = {}) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: propagation,
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      };
      const subject = `remove ${describeRef(ref)}`;
      const request = { method: 'DELETE', path: objectPath(ref), subject, body, signal } as const;
      const { httpStatus, json, status, repeated } = await api.call(request, [NOT_FOUND]);
      if (httpStatus !== NOT_FOUND) return true;
      if (status?.name === undefined && (await discovery.serves(ref.kind, signal))) {
        throw refusal(subject, NOT_FOUND, json);
      }
      return repeated;
    },
  };
}

function typed(kind: Kind, object: KubeObject): KubeObject {
  return { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
}

function checked(user: Impersonated): Impersonated {
  if ([user.name, user.uid ?? 'none', ...(user.groups ?? [])].every((name) => PRINTABLE.test(name))) return user;
  throw new EngineError('bad-request', 'a user with such a name cannot be impersonated', { user: user.name });
}
