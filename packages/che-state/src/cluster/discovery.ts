/** What the API serves. */
import { EngineError } from 'restic-engine';
import type { Kind } from '../objects/object.ts';
import type { Api } from './api.ts';
import { groupPath } from './paths.ts';
import { refusal } from './refusal.ts';

/** A kind that is served is believed to be so for this long, in milliseconds. That it is not is never believed. */
const FRESH_MS = 30_000;
const NOT_FOUND = 404;

export class Discovery {
  readonly #api: Api;
  readonly #known = new Map<string, { readonly kinds: ReadonlySet<string>; readonly at: number }>();

  constructor(api: Api) {
    this.#api = api;
  }

  async serves(kind: Kind, signal: AbortSignal | undefined): Promise<boolean> {
    const path = groupPath(kind);
    const known = this.#known.get(path);
    const sought = `${kind.plural}/${kind.kind}`;
    if (known?.kinds.has(sought) && performance.now() - known.at < FRESH_MS) return true;
    const kinds = await this.#ask(path, signal);
    this.#known.set(path, { kinds, at: performance.now() });
    return kinds.has(sought);
  }

  async version(signal: AbortSignal | undefined): Promise<string> {
    const subject = 'get the version of the API';
    const { json } = await this.#api.call({ method: 'GET', path: '/version', subject, signal });
    if (typeof json === 'object' && json !== null && 'gitVersion' in json && typeof json.gitVersion === 'string') {
      return json.gitVersion;
    }
    throw new EngineError('io', `cannot ${subject}: it says none`);
  }

  async #ask(path: string, signal: AbortSignal | undefined): Promise<ReadonlySet<string>> {
    const subject = `ask what the API serves at ${path}`;
    const { httpStatus, json } = await this.#api.call({ method: 'GET', path, subject, signal }, [NOT_FOUND]);
    if (httpStatus !== NOT_FOUND) return kindsOf(subject, json);
    // Something else than the API, or a wrong address of it, knows of nothing at all.
    const groups = await this.#api.call({ method: 'GET', path: '/apis', subject, signal });
    if (!isA(groups.json, 'APIGroupList')) throw refusal(subject, NOT_FOUND, undefined);
    return new Set();
  }
}

function isA(json: unknown, kind: string): json is object {
  return typeof json === 'object' && json !== null && 'kind' in json && json.kind === kind;
}

function kindsOf(subject: string, json: unknown): ReadonlySet<string> {
  if (!isA(json, 'APIResourceList') || !('resources' in json) || !Array.isArray(json.resources)) {
    throw new EngineError('io', `cannot ${subject}: the answer is no list of kinds`);
  }
  const kinds = new Set<string>();
  const resources: readonly unknown[] = json.resources;
  for (const resource of resources) {
    if (typeof resource !== 'object' || resource === null || !('name' in resource) || !('kind' in resource)) continue;
    kinds.add(`${String(resource.name)}/${String(resource.kind)}`);
  }
  return kinds;
}
