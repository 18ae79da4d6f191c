/** A small SFTP server on a folder of this machine, in the process of the test, that can be made to misbehave. */
import { Buffer } from 'node:buffer';
import { mkdtemp, rm } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import type { Bandwidth } from '../../src/bandwidth.ts';
import { SftpBackend } from '../../src/sftp/backend.ts';
import type { Line } from '../../src/sftp/line.ts';
import { encode, PacketReader, STATUS, TYPE } from '../../src/sftp/protocol/packet.ts';
import type { Field } from '../../src/sftp/protocol/packet.ts';
import { PacketPool } from '../../src/sftp/protocol/packet-pool.ts';
import type { Pipe } from '../../src/sftp/protocol/pipe.ts';
import { Sessions } from '../../src/sftp/sessions.ts';
import { override } from '../../src/wrap/wrap.ts';

/** What a server sends in place of the right answer: bytes, or nothing. */
export type Answer = Uint8Array | 'hang up' | 'silence';

export interface ServerOptions {
  /** Extensions it offers. Default: those of OpenSSH. */
  readonly extensions?: Readonly<Record<string, string>>;
  /** Sees each request first; what it returns is sent instead of the answer, unless it returns `'go on'`. */
  readonly meddle?: (type: number, id: number, body: PacketReader) => Answer | 'go on';
  /** Bytes it gives at most for one READ. */
  readonly maxRead?: number;
  /** Leaves sizes, or all attributes, out of its listings. */
  readonly listing?: 'no size' | 'no attributes';
}

export const OPENSSH: Readonly<Record<string, string>> = {
  'posix-rename@openssh.com': '1',
  'statvfs@openssh.com': '2',
  'fsync@openssh.com': '1',
  'limits@openssh.com': '1',
};

const pool = new PacketPool();

/** A packet as a server sends it. */
export const packet = (type: number, id: number, ...fields: Field[]): Buffer => encode(pool, type, [id, ...fields]);

export const status = (id: number, code: number, text = 'because'): Buffer => packet(TYPE.STATUS, id, code, text, 'en');

const uint64s = (...values: number[]): Field[] => values.map(BigInt);

const ERRNO: Readonly<Record<string, number>> = {
  ENOENT: STATUS.NO_SUCH_FILE,
  EACCES: STATUS.PERMISSION_DENIED,
};

interface Folder {
  readonly path: string;
  readonly names: string[];
}

/** One session of a server. */
class FakeServer {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly #options: ServerOptions;
  readonly #hangUp: () => void;
  readonly #files = new Map<string, fs.FileHandle | Folder>();
  #next = 0;
  #rest = Buffer.alloc(0);
  #work: Promise<void> = Promise.resolve();

  constructor(options: ServerOptions, hangUp: () => void) {
    this.#options = options;
    this.#hangUp = hangUp;
    this.input.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  async end(): Promise<void> {
    await this.#work;
    for (const file of this.#files.values()) if ('close' in file) await file.close();
    this.#files.clear();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE(0)) {
      const end = 4 + this.#rest.readUInt32BE(0);
      const one = Buffer.from(this.#rest.subarray(4, end));
      this.#rest = this.#rest.subarray(end);
      this.#work = this.#work.then(() => this.#answer(one));
    }
  }

  async #answer(request: Buffer): Promise<void> {
    const type = request.readUInt8(0);
    const id = request.readUInt32BE(1);
    const meddled = this.#options.meddle?.(type, id, new PacketReader(request.subarray(5))) ?? 'go on';
    if (meddled === 'silence') return;
    if (meddled === 'hang up') return this.#hangUp();
    if (meddled !== 'go on') return void this.output.write(meddled);
    if (type === TYPE.INIT) {
      const extensions = Object.entries(this.#options.extensions ?? OPENSSH).flat();
      return void this.output.write(packet(TYPE.VERSION, 3, ...extensions));
    }
    try {
      this.output.write(await this.#do(type, id, new PacketReader(request.subarray(5))));
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      this.output.write(status(id, ERRNO[code] ?? STATUS.FAILURE, message));
    }
  }

  async #do(type: number, id: number, body: PacketReader): Promise<Buffer> {
    const first = body.string();
    const path = Buffer.from(first).toString();
    const file = this.#files.get(path);
    const done = (): Buffer => status(id, STATUS.OK);
    switch (type) {
      case TYPE.OPEN: {
        const writes = (body.uint32() & 2) !== 0;
        const { permissions = 0o600 } = writes ? body.attributes() : {};
        return this.#keep(id, await fs.open(path, writes ? 'wx' : 'r', permissions));
      }
      case TYPE.OPENDIR:
        return this.#keep(id, { path, names: await fs.readdir(path) });
      case TYPE.CLOSE:
        if (file !== undefined && 'close' in file) await file.close();
        this.#files.delete(path);
        return done();
      case TYPE.READ:
        return this.#read(id, file as fs.FileHandle, body.uint64(), body.uint32());
      case TYPE.WRITE: {
        const offset = body.uint64();
        const content = body.string();
        await (file as fs.FileHandle).write(content, 0, content.length, offset);
        return done();
      }
      case TYPE.FSTAT:
        return attributes(id, await (file as fs.FileHandle).stat());
      case TYPE.READDIR:
        return this.#list(id, file as Folder);
      case TYPE.EXTENDED:
        return this.#extended(id, path, body);
      default:
        return this.#doByName(type, id, path, body);
    }
  }

  async #doByName(type: number, id: number, path: string, body: PacketReader): Promise<Buffer> {
    const done = (): Buffer => status(id, STATUS.OK);
    switch (type) {
      case TYPE.STAT:
        return attributes(id, await fs.stat(path));
      case TYPE.SETSTAT:
        await fs.chmod(path, body.attributes().permissions ?? 0o600);
        return done();
      case TYPE.MKDIR:
        await fs.mkdir(path);
        return done();
      case TYPE.REMOVE:
        await fs.unlink(path);
        return done();
      case TYPE.RENAME: {
        const to = body.text();
        // As version 3 has it: a file that is there stays.
        await fs.link(path, to);
        await fs.unlink(path);
        return done();
      }
      default:
        return status(id, STATUS.OP_UNSUPPORTED);
    }
  }

  async #extended(id: number, name: string, body: PacketReader): Promise<Buffer> {
    switch (name) {
      case 'limits@openssh.com':
        return packet(TYPE.EXTENDED_REPLY, id, ...uint64s(262_144, 261_120, 261_120, 0));
      case 'posix-rename@openssh.com':
        await fs.rename(body.text(), body.text());
        return status(id, STATUS.OK);
      case 'fsync@openssh.com':
        return status(id, STATUS.OK);
      case 'statvfs@openssh.com':
        return packet(TYPE.EXTENDED_REPLY, id, ...uint64s(4096, 4096, 1000, 1e9, 1e9, 1, 1, 1, 1, 0, 255));
      default:
        return status(id, STATUS.OP_UNSUPPORTED);
    }
  }

  #keep(id: number, file: fs.FileHandle | Folder): Buffer {
    this.#next += 1;
    this.#files.set(`handle ${this.#next}`, file);
    return packet(TYPE.HANDLE, id, `handle ${this.#next}`);
  }

  async #read(id: number, file: fs.FileHandle, offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(Math.min(length, this.#options.maxRead ?? length));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
    return bytesRead === 0 ? status(id, STATUS.EOF) : packet(TYPE.DATA, id, bytes.subarray(0, bytesRead));
  }

  async #list(id: number, { path, names }: Folder): Promise<Buffer> {
    const batch = names.splice(0, 20);
    if (batch.length === 0) return status(id, STATUS.EOF);
    const { listing } = this.#options;
    const fields: Field[] = [];
    for (const name of batch) {
      const found = await fs.lstat(join(path, name)).catch(() => undefined);
      fields.push(name, `long ${name}`);
      if (found === undefined || listing === 'no attributes') fields.push(0);
      else if (listing === 'no size') fields.push(4, found.mode);
      else fields.push(5, BigInt(found.size), found.mode);
    }
    return packet(TYPE.NAME, id, batch.length, ...fields);
  }
}

function attributes(id: number, { size, mode }: { size: number; mode: number }): Buffer {
  return packet(TYPE.ATTRS, id, 5, BigInt(size), mode);
}

/** Opens sessions with fake servers. `breakAll` ends all there are, as a line that breaks does. */
export function fakeLine(options: ServerOptions): Line & { breakAll(): void } {
  const running = new Set<() => void>();
  return {
    alive: true,
    async open(): Promise<Pipe> {
      const gone = Promise.withResolvers<EngineError>();
      const hangUp = (): void => {
        running.delete(hangUp);
        gone.resolve(new EngineError('io', 'the line broke'));
      };
      running.add(hangUp);
      const server = new FakeServer(options, hangUp);
      return {
        input: server.output,
        output: server.input,
        gone: gone.promise,
        async close() {
          hangUp();
          await server.end();
        },
      };
    },
    async close() {
      for (const hangUp of running) hangUp();
    },
    breakAll() {
      for (const hangUp of running) hangUp();
    },
  };
}

export interface FakeBackend {
  readonly backend: Backend;
  readonly folder: string;
  breakAll(): void;
}

/** A backend on a fake server in a new folder, which goes away with it. */
export async function fakeBackend(
  options: ServerOptions = {},
  stuckMs = 5000,
  bandwidth?: Bandwidth,
): Promise<FakeBackend> {
  const folder = await mkdtemp(join(tmpdir(), 'sftp-'));
  const line = fakeLine(options);
  const backend = new SftpBackend({
    location: 'sftp:fake:repo',
    root: join(folder, 'repo'),
    connections: 5,
    sessions: new Sessions(async () => line, 2, stuckMs),
    bandwidth,
  });
  const dispose = async (): Promise<void> => {
    await backend[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  };
  return { backend: override(backend, { [Symbol.asyncDispose]: dispose }), folder, breakAll: () => line.breakAll() };
}
