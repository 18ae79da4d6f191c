import type { Buffer } from 'node:buffer';
import { EngineError } from '@restic-engine/repo-format';
import { FrameParser } from './frames.ts';
import type { FrameHandler } from './frames.ts';
import { broken, encode, PacketReader, STATUS, TYPE } from './packet.ts';
import type { Field } from './packet.ts';
import { PacketPool } from './packet-pool.ts';
import type { Pipe } from './pipe.ts';
import { readStatus } from './status.ts';

/** Ids count up to here and begin again; so many requests are never under way. */
const MAX_ID = 0xffffffff;

interface Waiting {
  /** The kind of answer that is right, beside STATUS. */
  readonly expected: number;
  /** For DATA: the place for the content. */
  readonly target?: Uint8Array;
  resolve(body: Uint8Array): void;
  reject(error: unknown): void;
}

/**
 * Requests on their way to one server, any number at once, and the answers to them.
 *
 * Every request rejects with a {@link StatusError} where the server refuses it, and with the reason why the server is
 * gone when it goes. Whoever loses interest in an answer lets go of the promise; the answer is still taken in.
 */
export class Requests implements FrameHandler {
  readonly #pipe: Pipe;
  readonly #pool = new PacketPool();
  readonly #waiting = new Map<number, Waiting>();
  readonly #parser: FrameParser;
  readonly #stuckMs: number;
  #version: { resolve(body: PacketReader): void; reject(error: unknown): void } | undefined;
  #lastId = 0;
  #failure: EngineError | undefined;
  #watch: NodeJS.Timeout | undefined;

  /** `stuckMs` without a byte from the server, while there are requests, are taken for its end. */
  constructor(pipe: Pipe, stuckMs: number) {
    this.#pipe = pipe;
    this.#stuckMs = stuckMs;
    this.#parser = new FrameParser(this);
    pipe.input.on('data', (chunk: Uint8Array) => this.#take(chunk));
    // Why a stream broke is told by `gone`, which knows more.
    pipe.input.on('error', () => undefined);
    pipe.output.on('error', () => undefined);
    void pipe.gone.then((reason) => this.fail(reason));
  }

  /** Why no more requests can be made; undefined while they can. */
  get failure(): EngineError | undefined {
    return this.#failure;
  }

  /** How many requests wait for their answer. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Says which version is spoken; resolves with the server's answer. */
  hello(version: number): Promise<PacketReader> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#version = { resolve, reject };
      this.#send(encode(this.#pool, TYPE.INIT, [version]));
    });
  }

  /** Resolves with the body of the answer, which must be of kind `expected`; STATUS means "success, nothing else". */
  send(type: number, fields: readonly Field[], expected: number, tail?: readonly Uint8Array[]): Promise<Uint8Array> {
    return this.#start(expected, undefined, (id) => encode(this.#pool, type, [id, ...fields], tail));
  }

  /** Reads up to `target.length` bytes into `target`; resolves with those that were read, a view of it. */
  read(handle: Uint8Array, offset: number, target: Uint8Array): Promise<Uint8Array> {
    return this.#start(TYPE.DATA, target, (id) =>
      encode(this.#pool, TYPE.READ, [id, handle, BigInt(offset), target.length]),
    );
  }

  /** Rejects everything under way with `reason` and lets go of the pipe. */
  fail(reason: EngineError): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    clearTimeout(this.#watch);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#version?.reject(reason);
    for (const each of waiting) each.reject(reason);
    void this.#pipe.close();
  }

  target(id: number, length: number): Uint8Array {
    const target = this.#waiting.get(id)?.target;
    if (target === undefined) throw broken('content that nobody asked for');
    if (length === 0 || length > target.length) throw broken(`${length} bytes of content, not ${target.length}`);
    return target.subarray(0, length);
  }

  data(id: number, content: Uint8Array): void {
    this.#taken(id).resolve(content);
  }

  packet(type: number, id: number, body: Uint8Array): void {
    if (type === TYPE.VERSION) return this.#hear(id, body);
    // Before the request is taken out: whatever is wrong with an answer, the request must learn of it.
    const status = type === TYPE.STATUS ? readStatus(body) : undefined;
    if (status === undefined && this.#waiting.get(id)?.expected !== type) throw broken(`an answer of kind ${type}`);
    const { expected, resolve, reject } = this.#taken(id);
    if (status === undefined || (status.status === STATUS.OK && expected === TYPE.STATUS)) resolve(body);
    else reject(status.status === STATUS.OK ? broken('success without a result') : status);
  }

  #start(expected: number, target: Waiting['target'], make: (id: number) => Buffer): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const id = (this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1);
      const answer = { expected, resolve, reject };
      if (this.#watch === undefined) this.#look();
      else if (this.#waiting.size === 0) this.#watch.refresh();
      this.#waiting.set(id, target === undefined ? answer : { ...answer, target });
      this.#send(make(id));
    });
  }

  #send(packet: Buffer): void {
    this.#pipe.gather?.();
    this.#pipe.output.write(packet, () => this.#pool.give(packet));
  }

  #hear(version: number, body: Uint8Array): void {
    if (this.#version === undefined) throw broken('a version that nobody asked for');
    if (version < 3) throw broken(`version ${version}`);
    this.#version.resolve(new PacketReader(body));
    this.#version = undefined;
  }

  #taken(id: number): Waiting {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) throw broken('an answer to no question');
    this.#waiting.delete(id);
    return waiting;
  }

  #take(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#watch?.refresh();
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.fail(EngineError.is(error) ? error : broken(String(error)));
    }
  }

  /** Ends what waits for nothing. An idle connection has no timer. */
  #look(): void {
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      if (this.#waiting.size === 0) return;
      const seconds = Math.round(this.#stuckMs / 1000);
      this.fail(new EngineError('io', `the server has not said anything for ${seconds} s`));
    }, this.#stuckMs);
    this.#watch.unref();
  }
}
