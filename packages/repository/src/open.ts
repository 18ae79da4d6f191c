/** Opening and making repositories. */
import {
  createKeyFile,
  createSealer,
  calibrateScrypt,
  decodeConfig,
  DEFAULT_PACK_SIZE,
  encodeConfig,
  EngineError,
  generateMasterKey,
  MAX_PACK_SIZE,
  MIN_PACK_SIZE,
  sha256,
} from '@restic-engine/repo-format';
import type {
  Backend,
  Compression,
  Config,
  Id,
  MasterKey,
  RepositoryCache,
  ScryptParams,
  Sealer,
} from '@restic-engine/repo-format';
import { availableParallelism } from 'node:os';
import { findKey } from './keys.ts';
import { nodePlatform } from './node-platform.ts';
import type { Platform } from './platform.ts';
import { inlinePool } from './pool/pool.ts';
import { threadPool } from './pool/threads.ts';
import { Repository } from './repository.ts';
import { formatInstant } from './time.ts';

const MAX_WORKERS = 8;

/** What opening needs: a backend, and a password or the master key. Everything else has a default. */
export interface OpenOptions {
  readonly backend: Backend;
  /** Keeps copies of what is read again and again. Worth it where `backend` is not on this machine. @default none */
  readonly cache?: RepositoryCache | undefined;
  /** Text counts as its UTF-8 bytes. */
  readonly password?: string | Uint8Array | undefined;
  /** Opens without password and key derivation. */
  readonly masterKey?: MasterKey | undefined;
  /** The beginning of a key's id; that key is tried first. */
  readonly keyHint?: string | undefined;
  /** @default 'auto' */
  readonly compression?: Compression | undefined;
  /** Bytes at which a pack is closed, 4 MiB to 128 MiB. @default 16 MiB */
  readonly packSize?: number | undefined;
  /** Opens fresh ciphertext again before it is stored, which catches broken memory. @default true */
  readonly verifyWrites?: boolean | undefined;
  /** Worker threads; 0 does everything on the calling thread. @default one per processor, at most 8 */
  readonly workers?: number | undefined;
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

let serial = 0;

/**
 * Opens a repository.
 *
 * Rejects with `no-repository`, `wrong-password`, `unsupported` (a version unknown here), `corrupt`, and what the
 * backend says. Nothing is locked or written.
 */
export async function openRepository(options: OpenOptions): Promise<Repository> {
  const { backend, signal, compression = 'auto', packSize = DEFAULT_PACK_SIZE, verifyWrites = true } = options;
  if (!(packSize >= MIN_PACK_SIZE && packSize <= MAX_PACK_SIZE)) {
    throw new EngineError('bad-request', 'the pack size must be between 4 MiB and 128 MiB', { packSize });
  }
  const { workers = Math.min(availableParallelism(), MAX_WORKERS) } = options;
  if (!(Number.isSafeInteger(workers) && workers >= 0))
    throw new RangeError('workers must be a whole number of at least 0');
  // Two ways to the store at once: it may be far away.
  const [sealedConfig, found] = await Promise.allSettled([loadConfig(backend, signal), keyFor(options)]);
  if (sealedConfig.status === 'rejected') throw sealedConfig.reason;
  if (found.status === 'rejected') throw found.reason;
  const { key, keyId } = found.value;
  const sealer = createSealer(key);
  const config = openConfig(sealer, sealedConfig.value);
  const cached = options.cache?.inFrontOf(backend, config.id);
  return new Repository({
    backend: cached ?? backend,
    cached,
    config,
    key,
    keyId,
    sealer,
    codecSpec: { serial: serial++, key, version: config.version, compression, verify: verifyWrites },
    packSize,
    platform: options.platform ?? nodePlatform(),
    pool: workers > 0 ? threadPool(workers) : inlinePool(),
  });
}

async function loadConfig(backend: Backend, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    return await backend.load({ type: 'config', name: '' }, undefined, { signal });
  } catch (cause) {
    if (!EngineError.is(cause, 'not-found')) throw cause;
    throw new EngineError('no-repository', `there is no repository at ${backend.location}`, {}, { cause });
  }
}

async function keyFor(options: OpenOptions): Promise<{ key: MasterKey; keyId: Id | undefined }> {
  const { backend, masterKey, password, keyHint, signal } = options;
  if (masterKey !== undefined) return { key: masterKey, keyId: undefined };
  return findKey(backend, passwordBytes(password), { keyHint, signal });
}

function openConfig(sealer: Sealer, sealed: Uint8Array): Config {
  try {
    return decodeConfig(sealer.open(sealed));
  } catch (cause) {
    if (!EngineError.is(cause, 'corrupt')) throw cause;
    const message = `the config file is damaged, or belongs to another repository than the key: ${cause.message}`;
    throw new EngineError('corrupt', message, { ...cause.context, type: 'config' }, { cause });
  }
}

/** How a new repository is made. */
export interface InitOptions {
  readonly backend: Backend;
  readonly password: string | Uint8Array;
  /** @default 2 */
  readonly version?: 1 | 2 | undefined;
  /** Hex digits of an irreducible polynomial, as in a config: repositories with the same one cut files alike. */
  readonly chunkerPolynomial: string;
  /** Cost of the key derivation. @default measured to take half a second here */
  readonly kdf?: ScryptParams | undefined;
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A repository that has been made. */
export interface InitResult {
  /** The id in the config, 64 hex digits. */
  readonly id: Id;
  readonly keyId: Id;
  readonly version: 1 | 2;
  readonly chunkerPolynomial: string;
}

/**
 * Makes a repository: the place, a key for `password`, and the config last, so that a half-made repository is none.
 * Rejects with `already-exists` when there is a config, a key or a snapshot already.
 */
export async function createRepository(options: InitOptions): Promise<InitResult> {
  const { backend, signal, version = 2, chunkerPolynomial, platform = nodePlatform() } = options;
  await refuseExisting(backend, signal);
  await backend.create({ signal });
  const key = generateMasterKey();
  const keyFile = await createKeyFile({
    password: passwordBytes(options.password),
    key,
    params: options.kdf ?? (await calibrateScrypt({ now: () => performance.now() })),
    created: formatInstant(platform),
    username: platform.username,
    hostname: platform.hostname,
  });
  const keyId = sha256(keyFile);
  await backend.save({ type: 'key', name: keyId }, [keyFile], { signal });
  const config: Config = { version, id: randomId(), chunkerPolynomial };
  await backend.save({ type: 'config', name: '' }, [createSealer(key).seal(encodeConfig(config))], { signal });
  return { id: config.id, keyId, version, chunkerPolynomial };
}

async function refuseExisting(backend: Backend, signal: AbortSignal | undefined): Promise<void> {
  const refuse = (what: string): never => {
    throw new EngineError('already-exists', `${what} at ${backend.location}`);
  };
  try {
    await backend.stat({ type: 'config', name: '' }, { signal });
    refuse('a repository exists already');
  } catch (error) {
    if (!EngineError.is(error, 'not-found')) throw error;
  }
  for await (const _ of backend.list('key', { signal })) refuse('there are keys already');
  for await (const _ of backend.list('snapshot', { signal })) refuse('there are snapshots already');
}

function passwordBytes(password: string | Uint8Array | undefined): Uint8Array {
  if (password === undefined) throw new EngineError('bad-request', 'a password or a master key is needed');
  return typeof password === 'string' ? new TextEncoder().encode(password) : password;
}

function randomId(): Id {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(32))).toString('hex');
}
