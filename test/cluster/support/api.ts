/** A small client of the Kubernetes API, so that tests do not ask the program they judge. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiVersionOf, type Kind, type KubeObject, type ObjectRef } from '@restic-engine/che-state';

/** An answer that is no success; the message is the API's. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

export interface ApiAccess {
  /** `https://127.0.0.1:<port>`. */
  readonly server: string;
  readonly token: string;
  /** PEM of the certificate to be trusted. */
  readonly ca: string;
}

export interface Api extends Disposable {
  /** Any request; resolves with the JSON of the answer. */
  call(method: string, path: string, body?: unknown, contentType?: string): Promise<unknown>;
  create(object: KubeObject): Promise<KubeObject>;
  get(ref: ObjectRef): Promise<KubeObject>;
  /** undefined when it is not there. */
  find(ref: ObjectRef): Promise<KubeObject | undefined>;
  /** Every object of a kind, in all namespaces or in one. A kind that is not served has none. */
  list(kind: Kind, namespace?: string, labelSelector?: string): Promise<KubeObject[]>;
  /** Makes objects, some at the same time; those of a later group when those of an earlier one are there. */
  createAll(...groups: readonly (readonly KubeObject[])[]): Promise<void>;
  /** JSON merge patch. */
  merge(ref: ObjectRef, patch: object, subresource?: 'status' | 'finalize'): Promise<KubeObject>;
  remove(ref: ObjectRef): Promise<void>;
  /** Every object there is, then every change, until `signal` fires. What `onEvent` throws ends it, too. */
  watch(kind: Kind, onEvent: (event: ApiEvent) => void, signal: AbortSignal): Promise<void>;
}

export interface ApiEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

/** More at once do not make an API server faster that shares two cores with the tests. */
const PARALLEL = 24;
const PAGE = 500;

export function pathOf(kind: Kind, namespace: string | undefined, name?: string): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const space = kind.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  return `${root}${space}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

export function openApi(access: ApiAccess, kinds: readonly Kind[]): Api {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL, ca: access.ca });
  const call: Api['call'] = (method, path, body, contentType = 'application/json') =>
    send(agent, access, { method, path, body, contentType });
  const kindOf = ({ apiVersion, kind }: KubeObject): Kind => {
    const found = kinds.find((each) => each.kind === kind && apiVersionOf(each) === apiVersion);
    if (found === undefined) throw new Error(`tests do not know ${apiVersion} ${kind}`);
    return found;
  };
  const create: Api['create'] = async (object) =>
    (await call('POST', pathOf(kindOf(object), object.metadata.namespace), object)) as KubeObject;
  const at = ({ kind, namespace, name }: ObjectRef): string => pathOf(kind, namespace, name);
  const get: Api['get'] = async (ref) => (await call('GET', at(ref))) as KubeObject;
  return {
    call,
    create,
    get,
    async find(ref) {
      try {
        return await get(ref);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },
    list: (kind, namespace, labelSelector) => list(call, kind, namespace, labelSelector),
    async createAll(...groups) {
      for (const group of groups) await eachOf(group, create);
    },
    merge: async (ref, patch, subresource) => {
      const path = subresource === undefined ? at(ref) : `${at(ref)}/${subresource}`;
      return (await call('PATCH', path, patch, 'application/merge-patch+json')) as KubeObject;
    },
    async remove(ref) {
      await call('DELETE', at(ref));
    },
    watch: (kind, onEvent, signal) => watch(access, kind, onEvent, signal),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

const WATCH_AGAIN_MS = 100;

/**
 * On connections of their own, one after the other: the API ends them at times, and does not serve a kind at once that has
 * just been defined. Then everything there is comes once more.
 */
async function watch(
  access: ApiAccess,
  kind: Kind,
  onEvent: (event: ApiEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const events = eventsOf(access, kind, signal);
    try {
      for await (const event of events) onEvent(event);
      await sleep(WATCH_AGAIN_MS, undefined, { signal });
    } catch (error) {
      const isMomentary = error instanceof ApiError || (error as NodeJS.ErrnoException).code !== undefined;
      if (!signal.aborted && !isMomentary) throw error;
      await sleep(signal.aborted ? 0 : WATCH_AGAIN_MS);
    }
  }
}

async function* eventsOf({ server, token, ca }: ApiAccess, kind: Kind, signal: AbortSignal): AsyncGenerator<ApiEvent> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const outgoing = request(`${server}${pathOf(kind, undefined)}?watch=1`, { headers, ca, signal }).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const lines = createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY });
  if (answer.statusCode !== 200) throw new ApiError(answer.statusCode ?? 0, `watch of ${kind.plural}`);
  for await (const line of lines) {
    const event = JSON.parse(line) as ApiEvent | { readonly type: 'ERROR'; readonly object: { readonly code: number } };
    if (event.type === 'ERROR') throw new ApiError(event.object.code, `watch of ${kind.plural}`);
    yield event;
  }
}

/** Does something with each, some at a time. */
export async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

interface Page {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly continue?: string };
  readonly items: readonly KubeObject[];
}

async function list(call: Api['call'], kind: Kind, namespace?: string, labels?: string): Promise<KubeObject[]> {
  const found: KubeObject[] = [];
  let next: string | undefined = '';
  while (next !== undefined) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (next !== '') query.set('continue', next);
    if (labels !== undefined) query.set('labelSelector', labels);
    const page = await call('GET', `${pathOf(kind, namespace)}?${query.toString()}`).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
    if (page === undefined) return [];
    const { items, metadata } = page as Page;
    for (const item of items) found.push({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind });
    next = metadata.continue || undefined;
  }
  return found;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly contentType: string;
}

function send(agent: Agent, { server, token }: ApiAccess, { method, path, body, contentType }: Call): Promise<unknown> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'application/json',
    ...(bytes && { 'content-type': contentType, 'content-length': bytes.length }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server}${path}`, { method, agent, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', reject);
      answer.once('end', () => {
        const status = answer.statusCode ?? 0;
        const text = Buffer.concat(chunks).toString();
        if (status >= 200 && status < 300) resolve(text.startsWith('{') ? JSON.parse(text) : text);
        else reject(new ApiError(status, `${method} ${path}: ${status} ${text.slice(0, 500)}`));
      });
    });
    outgoing.once('error', reject);
    outgoing.end(bytes);
  });
}
