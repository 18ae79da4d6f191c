/**
 * The client's side of a WebSocket (RFC 6455) on a socket that has been upgraded. Nothing is buffered beyond one message:
 * who does not read makes the other side wait, and a message is sent when the socket has taken it.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { EngineError } from 'restic-engine';

const CONTINUATION = 0x0;
const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** Longest message that is taken, in bytes. */
const MAX_MESSAGE = 16 * 1024 * 1024;
const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8]);
/** Often enough for load balancers, which cut what is silent for a minute. */
const PING_MS = 25_000;

interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

export class WebSocketConnection {
  readonly #socket: Socket;
  readonly #bytes: Bytes;
  readonly #pings: NodeJS.Timeout;

  /** Owns `socket` from here on. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#bytes = new Bytes(socket);
    socket.setTimeout(0);
    socket.setKeepAlive(true, PING_MS);
    socket.setNoDelay(true);
    // Errors come out of reading and sending.
    socket.on('error', () => undefined);
    this.#pings = setInterval(() => this.#write(PING), PING_MS);
    socket.once('close', () => clearInterval(this.#pings));
  }

  /** Yields messages; ends when the other side says goodbye, throws when the connection ends without a word. */
  async *messages(): AsyncGenerator<Buffer> {
    let parts: Buffer[] = [];
    let size = 0;
    for (;;) {
      const { final, opcode, payload } = await this.#read(MAX_MESSAGE - size);
      if (opcode === CLOSE) {
        this.close();
        return;
      }
      if (opcode === PING) this.#write(PONG, [payload]);
      if (opcode === PING || opcode === PONG) continue;
      // RFC 6455 §5.4: fragments follow each other, and the first one says what the message is.
      if ((opcode === CONTINUATION) !== parts.length > 0) throw broken('fragments out of order');
      parts.push(payload);
      size += payload.length;
      if (!final) continue;
      const message = parts.length === 1 ? payload : Buffer.concat(parts);
      parts = [];
      size = 0;
      yield message;
    }
  }

  /** Resolves when the socket has taken it and has room for more. Keeps nothing of `parts`. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#write(BINARY, parts, (error) => {
      if (error) reject(error);
      else resolve();
    });
    return promise;
  }

  /** Says goodbye and closes the connection. */
  close(): void {
    if (this.#socket.destroyed) return;
    this.#write(CLOSE, [NORMAL_CLOSURE]);
    this.#socket.end(() => this.#socket.destroy());
  }

  #write(opcode: number, parts: readonly Uint8Array[] = [], done?: (error?: Error | null) => void): void {
    const [head, bytes] = frame(opcode, ...parts);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(bytes, done);
    this.#socket.uncork();
  }

  /** Breaks the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** RFC 6455 §5.2. Extensions were not asked for, and servers do not mask. */
  async #read(maxBytes: number): Promise<Frame> {
    const head = await this.#bytes.read(2);
    const [first = 0, second = 0] = head;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0 || (second & 0x80) !== 0) throw broken('a frame of an unknown kind');
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) throw broken('a frame of an unknown kind');
    const short = second & 0x7f;
    if (opcode >= CLOSE && (short > 125 || (first & 0x80) === 0)) throw broken('a control frame that is too long');
    let length = short;
    if (short === 126) length = (await this.#bytes.read(2)).readUInt16BE();
    if (short === 127) length = Number((await this.#bytes.read(8)).readBigUInt64BE());
    if (length > maxBytes) throw new EngineError('too-large', 'the API sends a message that is too long', { length });
    return { final: (first & 0x80) !== 0, opcode, payload: await this.#bytes.read(length) };
  }
}

function broken(why: string): EngineError {
  return new EngineError('io', `the connection to the API failed: ${why}`);
}

/** RFC 6455 §5.2 and §5.3: the head of a final frame with its mask, and what it holds, masked. */
function frame(opcode: number, ...parts: readonly Uint8Array[]): readonly [Buffer, Uint8Array] {
  const length = parts.reduce((size, part) => size + part.length, 0);
  const extended = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + 4);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  // Four bytes at a time: dumps of many gigabytes go through here.
  const words = new Uint32Array(Math.ceil(length / 4));
  const bytes = new Uint8Array(words.buffer, 0, length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const mask = new Uint8Array(randomBytes(4));
  head.set(mask, 2 + extended);
  const [key = 0] = new Uint32Array(mask.buffer);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ key;
  return [head, bytes];
}

/** Exactly as many bytes of a socket as are wanted. */
class Bytes {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async read(count: number): Promise<Buffer> {
    const parts = [this.#held];
    let size = this.#held.length;
    while (size < count) {
      const { done, value } = await this.#chunks.next();
      if (done) throw broken('it was cut off');
      parts.push(value);
      size += value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts);
    this.#held = all.subarray(count);
    return all.subarray(0, count);
  }
}
