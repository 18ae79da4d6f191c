/** Key files: the master key, sealed with a password (restic design document, "Keys, Encryption and MAC"). */
import { decodeMasterKey, encodeMasterKey, splitKey, type MasterKey } from '../crypto/master-key.ts';
import { nodePrimitives } from '../crypto/node-primitives.ts';
import type { Primitives, ScryptParams } from '../crypto/primitives.ts';
import { createSealer, SEAL_OVERHEAD } from '../crypto/seal.ts';
import { EngineError } from '../errors.ts';
import { decodeBase64, encodeBase64 } from '../json/base64.ts';
import { requiredText } from '../json/fields.ts';
import { encodeObject, parseObject, textOrEmpty, uintOrZero } from '../json/object.ts';
import type { Timestamp } from '../tree/node.ts';
import { checkScryptParams } from './scrypt-params.ts';

/** What a key file says. Only `data` is proven, by opening it. */
export interface KeyFile extends ScryptParams {
  readonly created: Timestamp;
  readonly username: string;
  readonly hostname: string;
  /** 64 bytes. */
  readonly salt: Uint8Array;
  /** The sealed master key. */
  readonly data: Uint8Array;
}

const SALT_BYTES = 64;
/** A key file has about 500 bytes, and long names of users and hosts. */
const MAX_FILE_BYTES = 65_536;

/**
 * Reads a key file. Throws `corrupt`, `unsupported` for another key derivation function, and `too-large` for costs
 * that would exhaust this machine.
 */
export function decodeKeyFile(file: Uint8Array): KeyFile {
  if (file.length > MAX_FILE_BYTES)
    throw new EngineError('too-large', 'a key file is too large', { length: file.length });
  const { fields } = parseObject(file, 'key file');
  const kdf = requiredText(fields['kdf'], 'kdf');
  if (kdf !== 'scrypt') {
    throw new EngineError('unsupported', 'a key with an unknown key derivation function', { kdf: kdf.slice(0, 80) });
  }
  const params = { N: uintOrZero(fields['N'], 'N'), r: uintOrZero(fields['r'], 'r'), p: uintOrZero(fields['p'], 'p') };
  checkScryptParams(params);
  const salt = decodeBase64(requiredText(fields['salt'], 'salt'));
  const data = decodeBase64(requiredText(fields['data'], 'data'));
  if (salt.length !== SALT_BYTES || data.length <= SEAL_OVERHEAD) {
    throw new EngineError('corrupt', 'a key file is damaged', { salt: salt.length, data: data.length });
  }
  return {
    created: textOrEmpty(fields['created'], 'created'),
    username: textOrEmpty(fields['username'], 'username'),
    hostname: textOrEmpty(fields['hostname'], 'hostname'),
    ...params,
    salt,
    data,
  };
}

export interface CreateKeyFileOptions {
  /** The bytes as typed, UTF-8, not normalized. */
  readonly password: Uint8Array;
  readonly key: MasterKey;
  readonly params: ScryptParams;
  readonly created: Timestamp;
  readonly username: string;
  readonly hostname: string;
  readonly primitives?: Primitives | undefined;
}

/** A key file that opens with `password`, in restic's order of keys. Rejects with `bad-request` for illegal `params`. */
export async function createKeyFile(options: CreateKeyFileOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { password, key, params, created, username, hostname, primitives = nodePrimitives } = options;
  checkScryptParams(params, 'bad-request');
  const salt = primitives.randomBytes(SALT_BYTES);
  const userKey = splitKey(await primitives.scrypt(password, salt, params));
  const data = createSealer(userKey, primitives).seal(encodeMasterKey(key));
  return encodeObject({
    created,
    username,
    hostname,
    kdf: 'scrypt',
    N: params.N,
    r: params.r,
    p: params.p,
    salt: encodeBase64(salt),
    data: encodeBase64(data),
  });
}

export interface OpenKeyFileOptions {
  readonly signal?: AbortSignal | undefined;
  readonly primitives?: Primitives | undefined;
}

/**
 * The master key in a key file. Rejects with `wrong-password` (a damaged `data` looks the same), with what
 * {@link decodeKeyFile} throws, and with `aborted`.
 */
export async function openKeyFile(
  file: Uint8Array,
  password: Uint8Array,
  options: OpenKeyFileOptions = {},
): Promise<MasterKey> {
  const { signal, primitives = nodePrimitives } = options;
  const { salt, data, ...params } = decodeKeyFile(file);
  const sealer = createSealer(splitKey(await primitives.scrypt(password, salt, params, signal)), primitives);
  return decodeMasterKey(openOrRefuse(() => sealer.open(data)));
}

function openOrRefuse(open: () => Uint8Array): Uint8Array {
  try {
    return open();
  } catch (cause) {
    if (!EngineError.is(cause, 'corrupt')) throw cause;
    throw new EngineError('wrong-password', 'the key does not open with this password', {}, { cause });
  }
}
