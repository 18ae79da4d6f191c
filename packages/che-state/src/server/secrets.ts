/** Reading the Secrets and ConfigMaps that a backup server configuration names. */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import type { S3Credentials } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { CONFIG_MAP, SECRET } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { privateKeyOf } from './from-url.ts';
import type { Login } from './url.ts';

/** The keys of these Secrets, as the documentation names them. */
export const KEYS = {
  password: 'repo-password',
  username: 'username',
  userPassword: 'password',
  accessKeyId: 'awsAccessKeyId',
  secretAccessKey: 'awsSecretAccessKey',
  /** Ours: of temporary keys. */
  sessionToken: 'awsSessionToken',
  sshKey: 'ssh-privatekey',
  /** Ours. */
  knownHosts: 'known_hosts',
} as const;

/** Reads objects of one namespace. All reject with `not-found` or `bad-request`, naming the object and the key. */
export interface SecretReader {
  password(name: string): Promise<string>;
  login(name: string): Promise<Login>;
  keys(name: string): Promise<S3Credentials>;
  /** With what the Secret says of host keys; '' for nothing. */
  ssh(name: string): Promise<{ readonly sshKey: string; readonly knownHosts: string }>;
  /** PEM texts. */
  caBundle(configMap: string): Promise<readonly string[]>;
}

export function secretReader(cluster: Cluster, namespace: string, call: ClusterCall): SecretReader {
  const secret = async (name: string): Promise<Secret> => {
    const object = await cluster.get({ kind: SECRET, namespace, name }, call);
    if (object === undefined) throw notFound('Secret', name, namespace);
    return new Secret(object);
  };
  return {
    password: async (name) => (await secret(name)).keyOrOnly(KEYS.password),
    async login(name) {
      const found = await secret(name);
      return { username: found.key(KEYS.username), password: found.key(KEYS.userPassword) };
    },
    async keys(name) {
      const found = await secret(name);
      const sessionToken = found.optional(KEYS.sessionToken);
      return {
        accessKeyId: found.key(KEYS.accessKeyId),
        secretAccessKey: found.key(KEYS.secretAccessKey),
        ...(sessionToken !== '' && { sessionToken }),
      };
    },
    async ssh(name) {
      const found = await secret(name);
      return { sshKey: found.privateKey(), knownHosts: found.optional(KEYS.knownHosts) };
    },
    async caBundle(name) {
      const object = await cluster.get({ kind: CONFIG_MAP, namespace, name }, call);
      if (object === undefined) throw notFound('ConfigMap', name, namespace);
      const texts = Object.values(object.data ?? {}).filter((text) => text.includes('-----BEGIN CERTIFICATE-----'));
      if (texts.length === 0)
        throw new EngineError('bad-request', `the ConfigMap ${name} has no certificates`, { name });
      return texts;
    },
  };
}

class Secret {
  readonly #name: string;
  readonly #data: Readonly<Record<string, string>>;

  constructor({ metadata, data = {} }: KubeObject) {
    this.#name = metadata.name;
    this.#data = data;
  }

  key(key: string): string {
    const value = this.optional(key);
    if (value === '') throw this.#wrong(`has no ${key}, or an empty one`, key);
    return value;
  }

  optional(key: string): string {
    return this.#decoded(key, Object.hasOwn(this.#data, key) ? (this.#data[key] ?? '') : '');
  }

  /** Of a Secret with one key that key is meant, whatever it is called. */
  keyOrOnly(key: string, beside: readonly string[] = []): string {
    const names = Object.keys(this.#data).filter((name) => !beside.includes(name));
    const [only] = names;
    if (Object.hasOwn(this.#data, key) || names.length !== 1 || only === undefined) return this.key(key);
    return this.key(only);
  }

  privateKey(): string {
    const text = this.keyOrOnly(KEYS.sshKey, [KEYS.knownHosts]);
    try {
      return privateKeyOf(text);
    } catch (error) {
      if (!EngineError.is(error, 'bad-request')) throw error;
      throw this.#wrong('has no private key: one begins with -----BEGIN', KEYS.sshKey);
    }
  }

  #decoded(key: string, base64: string): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, 'base64'));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw this.#wrong(`has bytes in ${key} that are no text`, key);
    }
  }

  #wrong(why: string, key: string): EngineError {
    return new EngineError('bad-request', `the Secret ${this.#name} ${why}`, { secret: this.#name, key });
  }
}

function notFound(kind: string, name: string, namespace: string): EngineError {
  return new EngineError('not-found', `the ${kind} ${name} is not in the namespace ${namespace}`, { name, namespace });
}
