import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type {
  Backend,
  BackendTraits,
  ByteRange,
  Call,
  FileHandle,
  FileType,
  ListedFile,
} from '@restic-engine/repo-format';
import { openHttpClient } from '../http/client.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../http/client.ts';
import { folderOf } from '../layout.ts';
import { SYSTEM_TIME } from '../wrap/time.ts';
import { brokenAnswer, refusal } from './answers.ts';
import { listFiles } from './listing.ts';
import type { RestOptions } from './open.ts';
import { placeOf } from './place.ts';
import type { Place } from './place.ts';
import { readRange, readWhole } from './read.ts';

/** Servers answer with version 2 of the protocol only if it is exactly this that is accepted. */
const ACCEPT = 'application/vnd.x.restic.rest.v2';

/** How long to wait before a folder that seems to be missing is asked for again. */
const ABSENT_AGAIN_MS = [5, 10, 20, 40, 80];

/** See `restBackend`. */
export async function openRest(options: RestOptions): Promise<Backend> {
  const place = placeOf(options);
  const connections = options.connections ?? 5;
  if (!Number.isInteger(connections) || connections < 1) {
    throw new RangeError('connections must be a whole number from 1');
  }
  const { bandwidth, env } = options;
  const client = await openHttpClient({
    ...options.http,
    connections,
    bandwidth,
    ...(env !== undefined && { env }),
    ...(place.socketPath !== undefined && { socketPath: place.socketPath }),
  });
  return new RestBackend(place, client, connections);
}

class RestBackend implements Backend {
  readonly location: string;
  readonly traits: BackendTraits;
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #client: HttpClient;

  constructor({ base, location, authorization }: Place, client: HttpClient, connections: number) {
    this.location = location;
    // A server refuses to store a name again; whether it is append-only shows only when it refuses to remove one.
    this.traits = { connections, atomicReplace: false, listAfterWrite: true, canRemove: true };
    this.#base = base;
    this.#headers = { accept: ACCEPT, ...(authorization !== undefined && { authorization }) };
    this.#client = client;
  }

  async create(call?: Call): Promise<void> {
    const response = await this.#send('POST', '?create=true', call, []);
    if (!isSuccess(response)) throw await this.#refused(response, 'create', 'the repository');
    await response.body.discard();
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    const path = pathOf(file);
    const response = await this.#send('POST', path, call, segments);
    if (isSuccess(response)) {
      await response.body.discard();
      return;
    }
    const error = await this.#refused(response, 'save', path);
    // A server says the same of a name that exists and of a user who may not write.
    if (error.code === 'denied' && (await this.#exists(file, call))) {
      throw new EngineError('already-exists', `${path} exists already`, { file: path });
    }
    throw error;
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    const path = pathOf(file);
    if (range === undefined) {
      const response = await this.#send('GET', path, call);
      if (response.status !== 200) throw await this.#refused(response, 'load', path);
      return readWhole(response, file);
    }
    if (range.length === 0) return this.#loadNothing(file, range.offset, call);
    const last = range.offset + range.length - 1;
    const response = await this.#send('GET', path, call, undefined, { range: `bytes=${range.offset}-${last}` });
    if (!isSuccess(response)) throw await this.#refused(response, 'load', path);
    return readRange(response, range, file);
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    const path = pathOf(file);
    const response = await this.#send('HEAD', path, call);
    if (response.status !== 200) throw await this.#refused(response, 'stat', path);
    const size = response.body.announced;
    await response.body.discard();
    if (size === undefined) throw brokenAnswer(path, 'there is no Content-Length');
    return { size };
  }

  async *list(type: FileType, call?: Call): AsyncGenerator<ListedFile> {
    throwIfAborted(call?.signal);
    if (type === 'config') return;
    const path = `${folderOf(type)}/`;
    const response = await this.#getFolder(path, call);
    if (response === undefined) return;
    if (response.status !== 200) throw await this.#refused(response, 'list', path);
    const stat = (name: string): Promise<{ readonly size: number }> => this.stat({ type, name }, call);
    yield* listFiles(response.body, stat, this.traits.connections, call?.signal);
  }

  /**
   * Undefined for a folder that is not there. rest-server says the same when a file that it has just read the name of is
   * gone, as every file is that was being stored under its temporary name; so it is asked again before that is believed.
   */
  async #getFolder(path: string, call: Call | undefined): Promise<HttpResponse | undefined> {
    for (const wait of [...ABSENT_AGAIN_MS, undefined]) {
      const response = await this.#send('GET', path, call);
      if (response.status !== 404) return response;
      await response.body.discard();
      if (isRclone(response)) {
        // It lists a missing folder as an empty one, and says 404 of errors of its own.
        const message = `list ${path}: the server fails (HTTP 404 from rclone)`;
        throw new EngineError('io', message, { file: path, status: 404 });
      }
      if (wait !== undefined) await SYSTEM_TIME.sleep(wait, call?.signal);
    }
    return undefined;
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    const path = pathOf(file);
    const response = await this.#send('DELETE', path, call);
    if (!isSuccess(response) && response.status !== 404) throw await this.#refused(response, 'remove', path);
    await response.body.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #exists(file: FileHandle, call: Call | undefined): Promise<boolean> {
    try {
      await this.stat(file, call);
      return true;
    } catch (error) {
      if (EngineError.is(error, 'not-found') || EngineError.is(error, 'denied')) return false;
      throw error;
    }
  }

  /** HTTP has no way to ask for a range of no bytes. */
  async #loadNothing(file: FileHandle, offset: number, call: Call | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const { size } = await this.stat(file, call);
    if (offset <= size) return new Uint8Array();
    const path = pathOf(file);
    throw new EngineError('out-of-range', `${path} is shorter than expected`, { file: path, offset, length: 0, size });
  }

  #refused(response: HttpResponse, operation: string, path: string): Promise<EngineError> {
    const named = this.#headers['authorization'] !== undefined;
    return refusal(response, { operation, path, url: this.#base, named });
  }

  #send(
    method: HttpRequest['method'],
    path: string,
    call: Call | undefined,
    body?: readonly Uint8Array[],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpResponse> {
    return this.#client.request({
      method,
      url: new URL(path, this.#base),
      headers: { ...this.#headers, ...(body && { 'content-type': 'application/octet-stream' }), ...headers },
      ...(body && { body }),
      signal: call?.signal,
    });
  }
}

/** The protocol keeps packs in one folder, whatever the server does. */
function pathOf(file: FileHandle): string {
  return file.type === 'config' ? 'config' : `${folderOf(file.type)}/${file.name}`;
}

function isSuccess({ status }: HttpResponse): boolean {
  return status >= 200 && status < 300;
}

function isRclone({ headers }: HttpResponse): boolean {
  return headers['server']?.startsWith('rclone/') === true;
}
