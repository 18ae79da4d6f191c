import { posix } from 'node:path';
import { throwIfAborted } from '@restic-engine/repo-format';
import type {
  Backend,
  BackendTraits,
  ByteRange,
  Call,
  FileHandle,
  FileType,
  ListedFile,
} from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import { filePath, repositoryFolders } from '../layout.ts';
import { orAborted } from './abort.ts';
import { onFile } from './errors.ts';
import { makeFolder, makeFolders, modesBeside, removeFolder } from './folders.ts';
import type { Modes } from './folders.ts';
import { listFiles } from './listing.ts';
import type { Session } from './protocol/session.ts';
import { isStatus } from './protocol/status.ts';
import { broken } from './protocol/packet.ts';
import { loadFile } from './read.ts';
import type { Sessions } from './sessions.ts';
import { saveFile } from './write.ts';

/** About how many bytes whole files of a type have, to spread them over sessions. */
const WHOLE: Readonly<Record<FileType, number>> = {
  config: 0,
  key: 0,
  lock: 0,
  snapshot: 0,
  index: 1024 * 1024,
  data: 16 * 1024 * 1024,
};

/** What an {@link SftpBackend} is made of. */
export interface SftpPlace {
  /** For people. */
  readonly location: string;
  /** The folder of the repository, as the server understands it. */
  readonly root: string;
  readonly connections: number;
  readonly sessions: Sessions;
  readonly bandwidth: Bandwidth | undefined;
}

/** A repository in a folder that an SFTP server shows. It connects when it is first used. */
export class SftpBackend implements Backend {
  readonly location: string;
  readonly traits: BackendTraits;
  readonly #place: SftpPlace;
  /** What all servers of the last fifteen years can do, until this one has said that it cannot. */
  #replaces = true;
  #modes: Modes | undefined;
  /** The folders that `create` has made, parents first. */
  readonly #made: string[] = [];

  constructor(place: SftpPlace) {
    const replaces = (): boolean => this.#replaces;
    this.location = place.location;
    this.traits = {
      connections: place.connections,
      get atomicReplace() {
        return replaces();
      },
      listAfterWrite: true,
      canRemove: true,
    };
    this.#place = place;
  }

  async create(call?: Call): Promise<void> {
    await this.#on('create', this.#place.root, 0, call, async (session) => {
      const { folder } = await this.#findModes(session);
      this.#made.push(...(await makeFolders(session, this.#place.root, folder)));
      const folders = repositoryFolders();
      // Parents first; what lies in them is asked for all at once.
      for (const depth of [1, 2]) {
        throwIfAborted(call?.signal);
        const level = folders.filter((path) => path.split('/').length === depth);
        const made = await Promise.all(level.map((path) => makeFolder(session, this.#path(path), folder)));
        this.#made.push(...made.flat());
      }
    });
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    const length = segments.reduce((sum, segment) => sum + segment.length, 0);
    const path = filePath(file);
    const { bandwidth } = this.#place;
    const signal = call?.signal;
    throwIfAborted(signal);
    // It sees to the signal itself: once the file has its name, it is there.
    await onFile('save', path, () =>
      this.#use(length, signal, async (session) => {
        const modes = await orAborted(this.#findModes(session), signal);
        await saveFile(session, this.#path(path), segments, { modes, bandwidth, signal });
      }),
    );
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    const path = filePath(file);
    const reading = { bandwidth: this.#place.bandwidth, signal: call?.signal };
    return this.#on('load', path, range?.length ?? WHOLE[file.type], call, (session) =>
      loadFile(session, this.#path(path), file, range, reading),
    );
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    const path = filePath(file);
    const { size } = await this.#on('stat', path, 0, call, (session) => session.stat(this.#path(path)));
    if (size === undefined) throw broken('a file without a size');
    return { size };
  }

  async *list(type: FileType, call?: Call): AsyncGenerator<ListedFile> {
    throwIfAborted(call?.signal);
    if (type === 'config') return;
    const session = await this.#use(0, call?.signal, async (found) => found);
    yield* listFiles({ session, path: (below) => this.#path(below), signal: call?.signal }, type);
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    const path = filePath(file);
    await this.#on('remove', path, 0, call, (session) => removeFile(session, this.#path(path)));
  }

  async removeFolders(call?: Call): Promise<void> {
    await this.#on('removeFolders', this.#place.root, 0, call, async (session) => {
      const depths = Map.groupBy(this.#made.splice(0), (path) => path.split('/').length);
      // What is deepest first, and all of a depth at once.
      for (const [, folders] of [...depths].toSorted(([a], [b]) => b - a)) {
        throwIfAborted(call?.signal);
        await Promise.all(folders.map((path) => removeFolder(session, path)));
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place.sessions.close();
  }

  #path(below: string): string {
    return posix.join(this.#place.root, below);
  }

  /** Does something that may be left alone when the signal fires. */
  async #on<T>(
    operation: string,
    path: string,
    bytes: number,
    call: Call | undefined,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(call?.signal);
    return onFile(operation, path, () => orAborted(this.#use(bytes, call?.signal, work), call?.signal));
  }

  #use<T>(bytes: number, signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#place.sessions.use(bytes, signal, (session) => {
      this.#replaces = session.replacesOnRename;
      return work(session);
    });
  }

  async #findModes(session: Session): Promise<Modes> {
    this.#modes ??= await modesBeside(session, this.#path('config'));
    return this.#modes;
  }
}

async function removeFile(session: Session, path: string): Promise<void> {
  try {
    await session.remove(path);
  } catch (error) {
    if (isStatus(error, 'NO_SUCH_FILE')) return;
    if (!isStatus(error, 'PERMISSION_DENIED')) throw error;
    // Servers on Windows do not remove what is read-only.
    await session.chmod(path, 0o600);
    await session.remove(path);
  }
}
