/** Locations as restic writes them (restic manual, "Preparing a new repository"), and the backends they stand for. */
import process from 'node:process';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import type { Bandwidth } from './bandwidth.ts';
import type { HttpOptions } from './http/options.ts';
import { LOCAL_SCHEME } from './local/scheme.ts';
import { REST_SCHEME } from './rest/scheme.ts';
import { S3_SCHEME } from './s3/scheme.ts';
import type { Environment, OpenContext, Scheme } from './scheme.ts';
import { SFTP_SCHEME } from './sftp/scheme.ts';

/** What beside its location decides how a backend is opened. */
export interface OpenBackendOptions {
  /** Extended options by their full names, as restic's `-o` takes them: `{ 's3.region': 'eu-central-1' }`. */
  readonly options?: Readonly<Record<string, string>>;
  /** Where credentials and proxies may come from. Default: the environment of this process. */
  readonly env?: Environment;
  /** For everything that speaks HTTP. */
  readonly http?: HttpOptions;
  /** The line to share, see {@link bandwidth}. */
  readonly bandwidth?: Bandwidth;
}

/** An extended option, for people. */
export interface ExtendedOption {
  /** With its scheme: `s3.region`. */
  readonly name: string;
  readonly description: string;
}

/** A backend that can be named by a location has its line here. */
const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['local', LOCAL_SCHEME],
  ['rest', REST_SCHEME],
  ['sftp', SFTP_SCHEME],
  ['s3', S3_SCHEME],
]);

/** What restic understands beside those, and the names of their options. */
const RESTIC_SCHEMES: ReadonlySet<string> = new Set(['azure', 'b2', 'gs', 'rclone', 'swift']);

/** `/x`, `./x`, `../x`, and on any system the Windows forms `C:\x`, `C:/x`, `.\x`, `..\x`. */
const PATH = /^(?:\.{0,2}[/\\]|[a-z]:[/\\])/i;

/**
 * The backend of a location as restic writes them: a path, or `local:`, `rest:`, `s3:` or `sftp:` and what belongs to it.
 * No server is spoken to yet. The caller disposes of the backend.
 *
 * Rejects with `unsupported` for a kind of location there is no backend for, and with `bad-request` where the location,
 * an extended option or the environment is wrong. Neither an error nor the backend's `location` holds a
 * secret.
 */
export async function openBackend(location: string, options: OpenBackendOptions = {}): Promise<Backend> {
  const { name, scheme, rest } = schemeOf(location);
  const context: OpenContext = {
    options: optionsOf(name, options.options ?? {}),
    env: options.env ?? process.env,
    http: options.http ?? {},
    bandwidth: options.bandwidth,
  };
  return scheme.open(rest, context);
}

/** Is this a folder of this machine, or of what is mounted there? Throws for what {@link openBackend} would refuse. */
export function isLocalLocation(location: string): boolean {
  return schemeOf(location).name === 'local';
}

/**
 * The location of the place called `name` (letters, digits and `-`) right below that of `location`.
 * Throws as {@link openBackend} rejects; a location that looks right may still be refused there.
 */
export function locationBelow(location: string, name: string): string {
  const { name: schemeName, scheme, rest } = schemeOf(location);
  return `${schemeName}:${scheme.below(rest, name)}`;
}

/** Every extended option there is, sorted by name. */
export function extendedOptions(): ExtendedOption[] {
  const all = [...SCHEMES].flatMap(([scheme, { options }]) =>
    options.map(({ name, description }) => ({ name: `${scheme}.${name}`, description })),
  );
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Found {
  readonly name: string;
  readonly scheme: Scheme;
  readonly rest: string;
}

/** Only words of our own are told of a location that is not understood: any part of it may be a password. */
function schemeOf(location: string): Found {
  const colon = location.indexOf(':');
  const name = location.slice(0, Math.max(colon, 0));
  const scheme = SCHEMES.get(name);
  const rest = scheme === undefined ? location : location.slice(colon + 1);
  if (rest === '') {
    const example = (scheme ?? LOCAL_SCHEME).example;
    throw new EngineError('bad-request', `the location of the repository is empty; a right one is ${example}`);
  }
  if (scheme !== undefined) return { name, scheme, rest };
  if (colon < 0 || PATH.test(location)) return { name: 'local', scheme: LOCAL_SCHEME, rest };
  if (RESTIC_SCHEMES.has(name)) {
    throw new EngineError('unsupported', `there is no backend for ${name}: locations (known: ${known()})`, {
      scheme: name,
    });
  }
  throw new EngineError('unsupported', `unknown kind of location (known: ${known()}); ${advice(name)}`, {
    known: known(),
  });
}

function known(): string {
  return [...SCHEMES.keys()].map((name) => `${name}:`).join(', ');
}

/** What was meant, perhaps. */
function advice(name: string): string {
  const lower = name.toLowerCase();
  if (SCHEMES.has(lower)) return `write ${lower}: in small letters`;
  const scheme = /^https?$/.test(lower) ? SCHEMES.get('rest') : undefined;
  if (scheme !== undefined) return `the location of a REST server is written ${scheme.example}`;
  return 'put local: before the path of a folder that has a colon in its name';
}

/** The options of one scheme, by their names without it. Those of others are looked at, not used: as in restic. */
function optionsOf(scheme: string, given: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const mine = new Map<string, string>();
  for (const [key, value] of Object.entries(given)) {
    const dot = key.indexOf('.');
    const namespace = dot < 0 ? key : key.slice(0, dot);
    const name = dot < 0 ? '' : key.slice(dot + 1);
    if (RESTIC_SCHEMES.has(namespace)) continue;
    const owner = SCHEMES.get(namespace);
    if (owner === undefined) {
      const names = [...SCHEMES.keys()].map((known) => `${known}.`).join(', ');
      throw new EngineError('bad-request', `unknown extended option ${key}; known ones start with ${names}`);
    }
    if (!owner.options.some((option) => option.name === name)) {
      const names = owner.options.map((option) => `${namespace}.${option.name}`).join(', ');
      throw new EngineError('bad-request', `unknown extended option ${key} (known: ${names})`);
    }
    if (namespace === scheme) mine.set(name, value);
  }
  return mine;
}
