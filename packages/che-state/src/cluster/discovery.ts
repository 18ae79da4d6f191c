/** What the API serves. */
import { EngineError } from 'restic-engine';
import { fieldAt, itemsAt, textAt } from '../objects/fields.ts';
import type { Kind } from '../objects/object.ts';
import type { Api } from './api.ts';
import { groupPath } from './paths.ts';
import { refusal } from './refusal.ts';

/** A kind that is served is believed to be so for this long, in milliseconds. That it is not is never believed. */
const FRESH_MS = 30_000;
const NOT_FOUND = 404;

/** What a group serves, by kind. */
type Served = ReadonlyMap<string, { readonly plural: string; readonly namespaced: boolean }>;

export class Discovery {
  readonly #api: Api;
  readonly #known = new Map<string, { readonly kinds: Served; readonly at: number }>();

  constructor(api: Api) {
    this.#api = api;
  }

  async serves(kind: Kind, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#find(kind, kind.kind, signal))?.plural === kind.plural;
  }

  async findKind(apiVersion: string, kind: string, signal: AbortSignal | undefined): Promise<Kind | undefined> {
    const slash = apiVersion.indexOf('/');
    const group = { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1) };
    const found = await this.#find(group, kind, signal);
    return found === undefined ? undefined : { ...group, kind, ...found };
  }

  async #find(
    group: Pick<Kind, 'group' | 'version'>,
    kind: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly plural: string; readonly namespaced: boolean } | undefined> {
    const path = groupPath(group);
    const known = this.#known.get(path);
    if (known?.kinds.has(kind) && performance.now() - known.at < FRESH_MS) return known.kinds.get(kind);
    const kinds = await this.#ask(path, signal);
    this.#known.set(path, { kinds, at: performance.now() });
    return kinds.get(kind);
  }

  async version(signal: AbortSignal | undefined): Promise<string> {
    const subject = 'get the version of the API';
    const { json } = await this.#api.call({ method: 'GET', path: '/version', subject, signal });
    const version = textAt(json, 'gitVersion');
    if (version !== undefined) return version;
    throw new EngineError('io', `cannot ${subject}: it says none`);
  }

  async #ask(path: string, signal: AbortSignal | undefined): Promise<Served> {
    const subject = `ask what the API serves at ${path}`;
    const { httpStatus, json } = await this.#api.call({ method: 'GET', path, subject, signal }, [NOT_FOUND]);
    if (httpStatus !== NOT_FOUND) return kindsOf(subject, json);
    // Something else than the API, or a wrong address of it, knows of nothing at all.
    const groups = await this.#api.call({ method: 'GET', path: '/apis', subject, signal });
    if (!isA(groups.json, 'APIGroupList')) throw refusal(subject, NOT_FOUND, undefined);
    return new Map();
  }
}

function isA(json: unknown, kind: string): boolean {
  return textAt(json, 'kind') === kind;
}

function kindsOf(subject: string, json: unknown): Served {
  if (!isA(json, 'APIResourceList')) throw new EngineError('io', `cannot ${subject}: the answer is no list of kinds`);
  const kinds = new Map<string, { readonly plural: string; readonly namespaced: boolean }>();
  for (const resource of itemsAt(json, 'resources')) {
    const kind = textAt(resource, 'kind');
    const plural = textAt(resource, 'name');
    // `pods/exec` and the like are parts of objects.
    if (kind === undefined || plural === undefined || plural.includes('/')) continue;
    kinds.set(kind, { plural, namespaced: fieldAt(resource, 'namespaced') === true });
  }
  return kinds;
}
