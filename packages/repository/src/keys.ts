/** The keys of a repository: each holds the same master key, sealed with another password. */
import {
  calibrateScrypt,
  createKeyFile,
  decodeKeyFile,
  EngineError,
  openKeyFile,
  sha256,
} from '@restic-engine/repo-format';
import type { Backend, Call, Code, Id, MasterKey, ScryptParams, Timestamp } from '@restic-engine/repo-format';
import { withLock } from './lock.ts';
import type { Repository } from './repository.ts';
import { formatInstant } from './time.ts';

/** As many keys as restic tries before it gives up. */
const MAX_KEYS_TRIED = 20;

export interface FindKeyOptions extends Call {
  readonly keyHint?: string | undefined;
}

/** What may be wrong with one key file while another one opens. */
const UNUSABLE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'unsupported', 'too-large', 'not-found']);

/**
 * Finds the key that opens with `password`, the hinted one first. Rejects with `wrong-password`, or with what is wrong
 * with a key that could not be tried when no other one opens.
 */
export async function findKey(
  backend: Backend,
  password: Uint8Array,
  { keyHint, signal }: FindKeyOptions = {},
): Promise<{ key: MasterKey; keyId: Id }> {
  const ids = await keyIds(backend, signal);
  if (keyHint !== undefined) ids.sort((a, b) => Number(b.startsWith(keyHint)) - Number(a.startsWith(keyHint)));
  let unusable: EngineError | undefined;
  for (const keyId of ids.slice(0, MAX_KEYS_TRIED)) {
    try {
      return { key: await openKeyFile(await loadKeyFile(backend, keyId, signal), password, { signal }), keyId };
    } catch (error) {
      if (EngineError.is(error, 'wrong-password')) continue;
      if (!EngineError.is(error) || !UNUSABLE.has(error.code)) throw error;
      unusable ??= error;
    }
  }
  throw unusable ?? new EngineError('wrong-password', 'wrong password or no key found', { keys: ids.length });
}

/** What a key file says of itself; nothing of it is secret or proven. */
export interface KeyInfo {
  readonly id: Id;
  /** The key this repository was opened with. */
  readonly current: boolean;
  readonly username: string;
  readonly hostname: string;
  readonly created: Timestamp;
}

/** Every key of the repository, in any order. */
export async function listKeys(repository: Repository, call: Call = {}): Promise<KeyInfo[]> {
  const infos: KeyInfo[] = [];
  for (const id of await keyIds(repository.backend, call.signal)) {
    const { username, hostname, created } = decodeKeyFile(await loadKeyFile(repository.backend, id, call.signal));
    infos.push({ id, current: id === repository.keyId, username, hostname, created });
  }
  return infos;
}

/** A key to add. Text counts as its UTF-8 bytes; names are for people, by default this process's. */
export interface AddKeyOptions extends Call {
  readonly password: string | Uint8Array;
  readonly username?: string | undefined;
  readonly hostname?: string | undefined;
  /** Cost of the key derivation. @default measured to take half a second here */
  readonly kdf?: ScryptParams | undefined;
  /** Wait this long for other locks, in ms. @default 0 */
  readonly retryLockMs?: number | undefined;
}

/** Adds a key with another password and resolves with its id, once the new key has been read back and opened. */
export async function addKey(repository: Repository, options: AddKeyOptions): Promise<Id> {
  const { retryLockMs: retryMs, signal } = options;
  return withLock(repository, { retryMs, signal }, (lock) => storeKey(repository, { ...options, signal: lock.signal }));
}

/** Removes a key. Rejects with `bad-request` for the one in use, `not-found` for one that is not there. */
export async function removeKey(
  repository: Repository,
  id: Id,
  options: Call & { readonly retryLockMs?: number | undefined } = {},
): Promise<void> {
  if (id === repository.keyId)
    throw new EngineError('bad-request', 'refusing to remove the key currently in use', { id });
  const { retryLockMs: retryMs, signal } = options;
  await withLock(repository, { exclusive: true, retryMs, signal }, async (lock) => {
    await repository.backend.stat({ type: 'key', name: id }, { signal: lock.signal });
    await repository.backend.remove({ type: 'key', name: id }, { signal: lock.signal });
  });
}

/**
 * Puts a key with a new password in the place of the one in use and resolves with its id. The old one goes last, after
 * the new one has been opened.
 */
export async function changePassword(repository: Repository, options: AddKeyOptions): Promise<Id> {
  const old = repository.keyId;
  if (old === undefined) throw new EngineError('bad-request', 'the repository was not opened with a password');
  const { retryLockMs: retryMs, signal } = options;
  return withLock(repository, { exclusive: true, retryMs, signal }, async (lock) => {
    const id = await storeKey(repository, { ...options, signal: lock.signal });
    repository.keyId = id;
    await repository.backend.remove({ type: 'key', name: old }, { signal: lock.signal });
    return id;
  });
}

async function storeKey(repository: Repository, options: AddKeyOptions): Promise<Id> {
  const { backend, platform } = repository;
  const { signal } = options;
  const password = typeof options.password === 'string' ? new TextEncoder().encode(options.password) : options.password;
  const file = await createKeyFile({
    password,
    key: repository.masterKey,
    params: options.kdf ?? (await calibrateScrypt({ now: () => performance.now() })),
    created: formatInstant(platform),
    username: options.username ?? platform.username,
    hostname: options.hostname ?? platform.hostname,
  });
  const id = sha256(file);
  try {
    await backend.save({ type: 'key', name: id }, [file], { signal });
    await openKeyFile(await loadKeyFile(backend, id, signal), password, { signal });
  } catch (error) {
    // A save that failed may have stored the file all the same. What went wrong first is what counts.
    await backend.remove({ type: 'key', name: id }).catch(() => undefined);
    throw error;
  }
  return id;
}

async function keyIds(backend: Backend, signal: AbortSignal | undefined): Promise<Id[]> {
  const ids: Id[] = [];
  for await (const { name } of backend.list('key', { signal })) ids.push(name);
  return ids.toSorted();
}

async function loadKeyFile(backend: Backend, id: Id, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const bytes = await backend.load({ type: 'key', name: id }, undefined, { signal });
  if (sha256(bytes) !== id) throw new EngineError('corrupt', `key ${id} does not match its name`, { type: 'key', id });
  return bytes;
}
