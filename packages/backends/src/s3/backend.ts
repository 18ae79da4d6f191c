import type { S3Client } from '@aws-sdk/client-s3';
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
import type { HttpResponse } from '../http/client.ts';
import { filePath, folderOf } from '../layout.ts';
import { Connection } from './connection.ts';
import { S3Refusal } from './errors.ts';
import { receiving } from './handler.ts';
import type { CallOptions } from './handler.ts';
import { filesOf, readPage } from './listing.ts';
import type { Page } from './listing.ts';
import { giveUp, readRange, readSize, readWhole } from './load.ts';
import type { S3Options, Sdk } from './open.ts';
import { showPlace } from './place.ts';
import { attach, hashOf, sha256Of, storageClassOf } from './save.ts';

export async function openS3(sdk: Sdk, options: S3Options): Promise<Backend> {
  const { connections = 5, bandwidth, env } = options;
  const http = await openHttpClient({ ...options.http, connections, bandwidth, ...(env && { env }) });
  return new S3Backend(new Connection(sdk, options, http), options, connections);
}

class S3Backend implements Backend {
  readonly location: string;
  readonly traits: BackendTraits;
  readonly #connection: Connection;
  readonly #options: S3Options;
  readonly #root: string;
  /** Known to be needed: buckets that protect what is in them ask for it, and it takes longer than anything else here. */
  #sendsMd5 = false;
  /** By `create`. */
  #madeBucket = false;

  constructor(connection: Connection, options: S3Options, connections: number) {
    const { endpoint, bucket, prefix = '' } = options;
    this.#connection = connection;
    this.#options = options;
    this.#root = prefix === '' ? '' : `${prefix}/`;
    this.location = showPlace({ endpoint, bucket, prefix });
    this.traits = { connections, atomicReplace: true, listAfterWrite: true, canRemove: true };
  }

  async create(call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const { HeadBucketCommand, CreateBucketCommand } = this.#connection.sdk;
    const path = `bucket ${this.#options.bucket}`;
    const seen = await this.#attempt('look for', path, call, (client, options) =>
      client.send(new HeadBucketCommand(this.#bucket()), options),
    );
    // Who may not look at the bucket may still use what is in it: as restic has it.
    if (!(seen instanceof S3Refusal) || seen.code === 'denied') return;
    if (seen.code !== 'not-found') throw seen.toEngineError('look for', path);
    const made = await this.#attempt('create', path, call, (client, options) =>
      client.send(new CreateBucketCommand(this.#bucket()), options),
    );
    if (!(made instanceof S3Refusal)) this.#madeBucket = true;
    else if (made.s3Code !== 'BucketAlreadyOwnedByYou') throw made.toEngineError('create', path);
  }

  /** There are no folders, but there may be a bucket that was made. */
  async removeFolders(call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    if (!this.#madeBucket) return;
    const { DeleteBucketCommand } = this.#connection.sdk;
    const path = `bucket ${this.#options.bucket}`;
    const removed = await this.#attempt('remove', path, call, (client, options) =>
      client.send(new DeleteBucketCommand(this.#bucket()), options),
    );
    if (!(removed instanceof S3Refusal)) this.#madeBucket = false;
    else if (removed.s3Code !== 'BucketNotEmpty') throw removed.toEngineError('remove', path);
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const path = filePath(file);
    const hash = sha256Of(file, segments);
    const hadMd5 = this.#sendsMd5;
    let saved = await this.#put(file, segments, hash, call);
    if (saved?.wantsMd5 && !hadMd5) {
      this.#sendsMd5 = true;
      saved = await this.#put(file, segments, hash, call);
    }
    if (saved === undefined) return;
    if (saved.s3Code === 'XAmzContentSHA256Mismatch' && hashOf('sha256', segments).toString('hex') !== hash) {
      throw new EngineError('corrupt', `save ${path}: the content is not what its name says`, { file: path });
    }
    throw saved.toEngineError('save', path);
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(call?.signal);
    if (range?.length === 0) return this.#loadNothing(file, range.offset, call);
    const { GetObjectCommand } = this.#connection.sdk;
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const input = { ...this.#key(file), ...(Range !== undefined && { Range }) };
    const path = filePath(file);
    const read = (response: HttpResponse): Promise<Uint8Array<ArrayBuffer>> =>
      range ? readRange(response, range, path) : readWhole(response, file);
    return this.#send('load', path, call, (client, options) =>
      receiving(read, options, (receive) => client.send(new GetObjectCommand(input), receive)),
    );
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    throwIfAborted(call?.signal);
    const { GetObjectCommand, HeadObjectCommand } = this.#connection.sdk;
    const path = filePath(file);
    const key = this.#key(file);
    const seen = await this.#attempt('stat', path, call, (client, options) =>
      receiving(readSize(path), options, (receive) => client.send(new HeadObjectCommand(key), receive)),
    );
    if (!(seen instanceof S3Refusal)) return seen;
    if (seen.code === 'denied' || seen.code === 'bad-request') {
      // The answer to HEAD has no body that could tell a wrong key from a missing permission: this one has.
      const input = { ...key, Range: 'bytes=0-0' };
      await this.#send('stat', path, call, (client, options) =>
        receiving(giveUp, options, (receive) => client.send(new GetObjectCommand(input), receive)),
      );
    }
    throw seen.toEngineError('stat', path);
  }

  async *list(type: FileType, call?: Call): AsyncGenerator<ListedFile> {
    throwIfAborted(call?.signal);
    if (type === 'config') return;
    const folder = folderOf(type);
    let start: string | undefined;
    do {
      const page = await this.#page(folder, start, call);
      // Where not even the bucket is, a new repository may be made.
      if (page === undefined) return;
      for (const file of filesOf(page, type, `${this.#root}${folder}`)) {
        throwIfAborted(call?.signal);
        yield file;
      }
      start = page.next;
    } while (start !== undefined);
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const { DeleteObjectCommand } = this.#connection.sdk;
    const path = filePath(file);
    const removed = await this.#attempt('remove', path, call, (client, options) =>
      client.send(new DeleteObjectCommand(this.#key(file)), options),
    );
    if (!(removed instanceof S3Refusal) || removed.isMissingKey) return;
    throw removed.toEngineError('remove', path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  #bucket(): { Bucket: string } {
    return { Bucket: this.#options.bucket };
  }

  #key(file: FileHandle): { Bucket: string; Key: string } {
    return { ...this.#bucket(), Key: `${this.#root}${filePath(file)}` };
  }

  async #put(
    file: FileHandle,
    segments: readonly Uint8Array[],
    hash: string,
    call: Call | undefined,
  ): Promise<S3Refusal | undefined> {
    const { PutObjectCommand } = this.#connection.sdk;
    const input = { ...this.#key(file), ContentType: 'application/octet-stream' };
    const storageClass = storageClassOf(file, this.#options.storageClass);
    const md5 = this.#sendsMd5 ? hashOf('md5', segments).toString('base64') : undefined;
    const answer = await this.#attempt('save', filePath(file), call, (client, options) => {
      const command = new PutObjectCommand(input);
      attach(command, segments, { hash, storageClass, md5 });
      return client.send(command, options);
    });
    return answer instanceof S3Refusal ? answer : undefined;
  }

  /** A page of a listing; undefined where there is no bucket. */
  async #page(folder: string, start: string | undefined, call: Call | undefined): Promise<Page | undefined> {
    const { ListObjectsCommand, ListObjectsV2Command } = this.#connection.sdk;
    const input = { ...this.#bucket(), Prefix: `${this.#root}${folder}/` };
    const read = (response: HttpResponse): Promise<Page> => readPage(response, start, folder);
    const page = await this.#attempt('list', folder, call, (client, options) =>
      receiving(read, options, async (receive) => {
        if (this.#options.listObjectsV1) {
          await client.send(new ListObjectsCommand({ ...input, ...(start && { Marker: start }) }), receive);
        } else
          await client.send(
            new ListObjectsV2Command({ ...input, ...(start && { ContinuationToken: start }) }),
            receive,
          );
      }),
    );
    if (!(page instanceof S3Refusal)) return page;
    if (page.s3Code === 'NoSuchBucket' && start === undefined) return undefined;
    throw page.toEngineError('list', folder);
  }

  /** A range without bytes is not known to HTTP. */
  async #loadNothing(file: FileHandle, offset: number, call: Call | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const { size } = await this.stat(file, call);
    if (offset <= size) return new Uint8Array();
    const path = filePath(file);
    throw new EngineError('out-of-range', `load ${path}: it ends before byte ${offset}`, { file: path, offset, size });
  }

  /** Resolves with the refusal of the server, if there is one; rejects with whatever else goes wrong. */
  async #attempt<T>(what: string, file: string, call: Call | undefined, work: Work<T>): Promise<T | S3Refusal> {
    return this.#connection.send(what, file, (client) => work(client, { signal: call?.signal }));
  }

  async #send<T>(what: string, file: string, call: Call | undefined, work: Work<T>): Promise<T> {
    const answer = await this.#attempt(what, file, call, work);
    if (answer instanceof S3Refusal) throw answer.toEngineError(what, file);
    return answer;
  }
}

type Work<T> = (client: S3Client, options: CallOptions) => Promise<T>;
