import { Buffer } from 'node:buffer';
import { broken, TYPE } from './packet.ts';

/** More than any answer but DATA has; OpenSSH's own limit. */
const MAX_PACKET = 256 * 1024;
/** Length, type and id; VERSION has its number where the others have an id. */
const HEAD = 9;
/** The same with the length of the content. */
const DATA_HEAD = 13;

/** Who is told of what arrives. May throw, which ends the connection. */
export interface FrameHandler {
  /** Where the `length` bytes of content go that answer request `id`. */
  target(id: number, length: number): Uint8Array;
  /** `content` is what `target` returned, filled. */
  data(id: number, content: Uint8Array): void;
  /** Any other packet. `body` is what follows the id, and the handler's to keep. */
  packet(type: number, id: number, body: Uint8Array): void;
}

/** Cuts a stream of bytes into packets. The content of files is copied once, to where it belongs. */
export class FrameParser {
  readonly #handler: FrameHandler;
  readonly #head = Buffer.alloc(DATA_HEAD);
  #headLength = 0;
  /** What is being filled, once the head is known. */
  #body: Uint8Array | undefined;
  #filled = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Throws `corrupt` where the bytes are no packets. `chunk` is not kept. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === undefined) at = this.#takeHead(chunk, at);
      if (this.#body === undefined) continue;
      const part = chunk.subarray(at, at + this.#body.length - this.#filled);
      this.#body.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#body.length) this.#finish(this.#body);
    }
  }

  get #type(): number {
    return this.#head.readUInt8(4);
  }

  #takeHead(chunk: Uint8Array, start: number): number {
    const wanted = this.#headLength >= HEAD && this.#type === TYPE.DATA ? DATA_HEAD : HEAD;
    const part = chunk.subarray(start, start + wanted - this.#headLength);
    this.#head.set(part, this.#headLength);
    this.#headLength += part.length;
    if (this.#headLength === wanted) this.#readHead();
    return start + part.length;
  }

  #readHead(): void {
    const length = this.#head.readUInt32BE(0);
    if (this.#type !== TYPE.DATA) {
      if (length < HEAD - 4 || length > MAX_PACKET) throw broken(`a packet of ${length} bytes`);
      this.#body = new Uint8Array(length - (HEAD - 4));
    } else if (this.#headLength === DATA_HEAD) {
      const content = this.#head.readUInt32BE(HEAD);
      if (length !== content + DATA_HEAD - 4) throw broken('content of another length than its packet');
      this.#body = this.#handler.target(this.#head.readUInt32BE(5), content);
    }
    // A packet may end with its head.
    if (this.#body?.length === 0) this.#finish(this.#body);
  }

  #finish(body: Uint8Array): void {
    const id = this.#head.readUInt32BE(5);
    const type = this.#type;
    this.#body = undefined;
    this.#filled = 0;
    this.#headLength = 0;
    if (type === TYPE.DATA) this.#handler.data(id, body);
    else this.#handler.packet(type, id, body);
  }
}
