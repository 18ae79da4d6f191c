import type { EngineError } from '@restic-engine/repo-format';
import { OPEN, PacketReader, permissions, TYPE } from './packet.ts';
import type { Attributes, Field } from './packet.ts';
import type { Pipe } from './pipe.ts';
import { Requests } from './requests.ts';
import { isStatus } from './status.ts';
import { Window } from './window.ts';

/**
 * Bytes of content under way on one session: what the window of an SSH channel lets through (2 MiB with OpenSSH and ssh2)
 * and half as much again, so that the channel does not run dry while answers travel.
 */
const IN_FLIGHT = 3 * 1024 * 1024;
/** What every server takes in one READ or WRITE; larger ones are damaged by some (section 6.4 promises 32768). */
const PLAIN_PIECE = 32 * 1024;
/** The largest piece used where the server says that it takes it: OpenSSH's packets, without their heads. */
const LARGE_PIECE = 255 * 1024;

/** A file or folder that is open on the server. */
export type Handle = Uint8Array;

/** One name in a folder. */
export interface Entry extends Attributes {
  readonly name: string;
}

/** Space on the server's disk. */
export interface Space {
  /** Bytes free for this user. */
  readonly free: bigint;
}

/** One conversation with an SFTP server. Rejects as {@link Requests} does. */
export class Session {
  /** Bounds the content under way in both directions. */
  readonly window: Window = new Window(IN_FLIGHT);
  readonly #requests: Requests;
  readonly #extensions: ReadonlyMap<string, string>;
  #readPiece = PLAIN_PIECE;
  #writePiece = PLAIN_PIECE;

  private constructor(requests: Requests, extensions: ReadonlyMap<string, string>) {
    this.#requests = requests;
    this.#extensions = extensions;
  }

  /** Greets the server and learns what it can do. */
  static async start(pipe: Pipe, stuckMs: number): Promise<Session> {
    const requests = new Requests(pipe, stuckMs);
    const reader = await requests.hello(3);
    const extensions = new Map<string, string>();
    while (reader.left > 0) extensions.set(reader.text(), reader.text());
    const session = new Session(requests, extensions);
    // Known before there is a first file to send or read, so nobody waits for it; without it plain pieces will do.
    if (extensions.has('limits@openssh.com')) session.#learnLimits().catch(() => undefined);
    return session;
  }

  /** Why it has ended; undefined while it goes on. */
  get failure(): EngineError | undefined {
    return this.#requests.failure;
  }

  /** Requests that wait for an answer. */
  get waiting(): number {
    return this.#requests.count;
  }

  /** The bytes worth asking for with one READ. */
  get readPiece(): number {
    return this.#readPiece;
  }

  /** The bytes worth sending with one WRITE. */
  get writePiece(): number {
    return this.#writePiece;
  }

  get replacesOnRename(): boolean {
    return this.#extensions.has('posix-rename@openssh.com');
  }

  get syncs(): boolean {
    return this.#extensions.has('fsync@openssh.com');
  }

  /** Ends it: what is under way rejects with `reason`. */
  end(reason: EngineError): void {
    this.#requests.fail(reason);
  }

  openForReading(path: string): Promise<Handle> {
    return this.#requests.send(TYPE.OPEN, [path, OPEN.READ, 0], TYPE.HANDLE).then(readHandle);
  }

  /** Makes a file that must not exist. */
  openNew(path: string, mode: number): Promise<Handle> {
    const flags = OPEN.WRITE | OPEN.CREATE | OPEN.EXCLUSIVE;
    return this.#requests.send(TYPE.OPEN, [path, flags, ...permissions(mode)], TYPE.HANDLE).then(readHandle);
  }

  openFolder(path: string): Promise<Handle> {
    return this.#requests.send(TYPE.OPENDIR, [path], TYPE.HANDLE).then(readHandle);
  }

  async close(handle: Handle): Promise<void> {
    await this.#do(TYPE.CLOSE, [handle]);
  }

  /**
   * Reads up to `target.length` bytes into `target`; resolves with those that were read, at least one. Rejects with status
   * `EOF` at the end of the file.
   */
  read(handle: Handle, offset: number, target: Uint8Array): Promise<Uint8Array> {
    return this.#requests.read(handle, offset, target);
  }

  /** Writes the concatenation of `parts`, which are copied before this returns. */
  async write(handle: Handle, offset: number, parts: readonly Uint8Array[]): Promise<void> {
    await this.#requests.send(TYPE.WRITE, [handle, BigInt(offset)], TYPE.STATUS, parts);
  }

  /** Resolves when the content is safe from a crash of the server; only where it `syncs`. */
  async sync(handle: Handle): Promise<void> {
    await this.#do(TYPE.EXTENDED, ['fsync@openssh.com', handle]);
  }

  stat(path: string): Promise<Attributes> {
    return this.#requests.send(TYPE.STAT, [path], TYPE.ATTRS).then(readAttributes);
  }

  statOpen(handle: Handle): Promise<Attributes> {
    return this.#requests.send(TYPE.FSTAT, [handle], TYPE.ATTRS).then(readAttributes);
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.#do(TYPE.SETSTAT, [path, ...permissions(mode)]);
  }

  async makeFolder(path: string, mode: number): Promise<void> {
    await this.#do(TYPE.MKDIR, [path, ...permissions(mode)]);
  }

  /** Only an empty one. */
  async removeFolder(path: string): Promise<void> {
    await this.#do(TYPE.RMDIR, [path]);
  }

  /** The next names of an open folder; undefined at its end. */
  async readFolder(handle: Handle): Promise<Entry[] | undefined> {
    try {
      return readEntries(await this.#requests.send(TYPE.READDIR, [handle], TYPE.NAME));
    } catch (error) {
      if (isStatus(error, 'EOF')) return undefined;
      throw error;
    }
  }

  async remove(path: string): Promise<void> {
    await this.#do(TYPE.REMOVE, [path]);
  }

  /** Replaces `to` in one step where it `replacesOnRename`; elsewhere a server refuses when `to` is there. */
  async rename(from: string, to: string): Promise<void> {
    if (this.replacesOnRename) await this.#do(TYPE.EXTENDED, ['posix-rename@openssh.com', from, to]);
    else await this.#do(TYPE.RENAME, [from, to]);
  }

  /** The space where `path` is; undefined where the server cannot tell. */
  async space(path: string): Promise<Space | undefined> {
    if (!this.#extensions.has('statvfs@openssh.com')) return undefined;
    const fields = ['statvfs@openssh.com', path];
    const reader = new PacketReader(await this.#requests.send(TYPE.EXTENDED, fields, TYPE.EXTENDED_REPLY));
    // f_bsize, f_frsize, f_blocks, f_bfree, f_bavail (OpenSSH's PROTOCOL file, 4.4).
    const [, unit = 0n, , , free = 0n] = Array.from({ length: 5 }, () => reader.bigUint64());
    return { free: unit * free };
  }

  #do(type: number, fields: readonly Field[]): Promise<unknown> {
    return this.#requests.send(type, fields, TYPE.STATUS);
  }

  async #learnLimits(): Promise<void> {
    const reply = await this.#requests.send(TYPE.EXTENDED, ['limits@openssh.com'], TYPE.EXTENDED_REPLY);
    const reader = new PacketReader(reply);
    // OpenSSH's PROTOCOL file, 4.8; 0 stands for "no limit known".
    reader.bigUint64();
    this.#readPiece = pieceWithin(reader.bigUint64());
    this.#writePiece = pieceWithin(reader.bigUint64());
  }
}

function pieceWithin(limit: bigint): number {
  if (limit === 0n) return PLAIN_PIECE;
  return limit > BigInt(LARGE_PIECE) ? LARGE_PIECE : Math.max(Number(limit), 1024);
}

function readHandle(body: Uint8Array): Handle {
  return new PacketReader(body).string();
}

function readAttributes(body: Uint8Array): Attributes {
  return new PacketReader(body).attributes();
}

function readEntries(body: Uint8Array): Entry[] {
  const reader = new PacketReader(body);
  const entries: Entry[] = [];
  for (let count = reader.uint32(); count > 0; count -= 1) {
    const name = reader.text();
    reader.string();
    entries.push({ name, ...reader.attributes() });
  }
  return entries;
}
