import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import type { Bandwidth } from './bandwidth.ts';
import type { HttpOptions } from './http/options.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What beside its location decides how a backend is opened. */
export interface OpenContext {
  /** Extended options (`-o rest.connections=8`) of this scheme, without its name: `connections` → `8`. Known names only. */
  readonly options: ReadonlyMap<string, string>;
  readonly env: Environment;
  readonly http: HttpOptions;
  readonly bandwidth: Bandwidth | undefined;
}

/** One extended option, for people. */
export interface SchemeOption {
  /** Without the scheme: `connections`. */
  readonly name: string;
  readonly description: string;
}

/**
 * A kind of location. The module that holds one loads no client: `open` does that with `import()`.
 */
export interface Scheme {
  /** How such a location is written, for messages: `rest:https://user:password@host:8000/path/`. */
  readonly example: string;
  readonly options: readonly SchemeOption[];
  /** `rest` is what follows `rest:`. Rejects with `bad-request` where it, an option or the environment is wrong. */
  open(rest: string, context: OpenContext): Promise<Backend>;
  /** `rest` of the place called `name` (letters, digits and `-`) right below this one, which need not exist. */
  below(rest: string, name: string): string;
}

/** {@link Scheme.below} where a location ends in the path of a folder, with or without a `/` behind it. */
export function belowFolder(rest: string, name: string): string {
  return rest.endsWith('/') ? `${rest}${name}` : `${rest}/${name}`;
}

/** More would only be in each other's way; restic takes any number, and as many threads. */
const MAX_CONNECTIONS = 1024;

/** The option `connections`, which every scheme has: a whole number from 1. */
export function connectionsOption(options: ReadonlyMap<string, string>, scheme: string, byDefault: number): number {
  const text = options.get('connections');
  if (text === undefined) return byDefault;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MAX_CONNECTIONS) return count;
  throw new EngineError('bad-request', `${scheme}.connections must be a whole number from 1 to ${MAX_CONNECTIONS}`);
}
