/** What is done with the files of a repository. */
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, FileHandle, FileType } from '@restic-engine/repo-format';
import type { Subject } from './address.ts';
import { Blocks } from './blocks.ts';
import { Budget } from './budget.ts';
import { answerFile } from './download.ts';
import { answerList } from './listing.ts';
import { DONE, ending, plain, Refusal } from './message.ts';
import type { Answer, Message } from './message.ts';
import { Metrics } from './metrics.ts';
import type { Operation } from './metrics.ts';
import type { Settings } from './options.ts';
import { Quota } from './quota.ts';
import { announcedLength, receive, Turns } from './upload.ts';

/** A request, and the repository it is for. */
export interface Work {
  readonly message: Message;
  readonly user: string;
  readonly repository: string;
  readonly backend: Backend;
}

/** A request for one file. */
interface FileWork extends Work {
  /** As in the path; `config` for that file. */
  readonly folder: string;
  readonly file: FileHandle;
}

const TYPES: readonly FileType[] = ['key', 'lock', 'snapshot', 'index', 'data'];

export class Files {
  readonly metrics: Metrics = new Metrics();
  readonly #settings: Settings;
  readonly #uploads: Budget;
  readonly #downloads: Budget;
  readonly #blocks = new Blocks();
  readonly #turns = new Turns();
  readonly #quota: Quota | undefined;

  constructor(settings: Settings) {
    const { backend, maxSize, memory, stallMs, storedBytes } = settings;
    this.#settings = settings;
    this.#uploads = new Budget(memory, stallMs);
    this.#downloads = new Budget(memory, stallMs);
    const measure = storedBytes ?? (async () => (backend === undefined ? 0 : sizeOf(backend)));
    this.#quota = maxSize === undefined ? undefined : new Quota(maxSize, measure);
  }

  /** Does what the method of the request says; it is one there is for the subject. */
  async answer(work: Work, subject: Subject, query: URLSearchParams): Promise<Answer> {
    const { backend, message } = work;
    const { signal } = message;
    switch (subject.kind) {
      case 'repository':
        if (query.get('create') !== 'true') return plain(400);
        await backend.create();
        return DONE;
      case 'list':
        return answerList(backend.list(subject.type, { signal }), message.header('accept'));
      case 'file':
        return this.#answerFile({ ...work, folder: subject.folder, file: subject.file });
    }
  }

  async #answerFile(work: FileWork): Promise<Answer> {
    const { backend, file, message } = work;
    switch (message.method) {
      case 'HEAD': {
        const { size } = await backend.stat(file, { signal: message.signal });
        return { status: 200, headers: { 'content-length': String(size) }, body: '' };
      }
      case 'GET':
        return this.#read(work);
      case 'POST':
        return this.#write(work);
      default:
        return this.#remove(work);
    }
  }

  async #read(work: FileWork): Promise<Answer> {
    const { backend, file, message } = work;
    // A condition cannot hold for a file that has neither a tag nor a date (RFC 9110 §13.1.5).
    const range = message.header('if-range') === undefined ? message.header('range') : undefined;
    const answer = await answerFile({ backend, file, range, budget: this.#downloads, signal: message.signal });
    if (typeof answer.body === 'string') return answer;
    return { ...answer, body: ending(answer.body, async (bytes) => this.#count('read', work, bytes)) };
  }

  /** Nothing of the body is read before it is known that the file may be stored. */
  async #write(work: FileWork): Promise<Answer> {
    const { message } = work;
    const length = announcedLength(message);
    if ((await existingSize(work)) !== undefined) return plain(403);
    if (length > this.#settings.largestUpload) return plain(413);
    await this.#quota?.reserve(length);
    let stored = false;
    try {
      stored = await this.#receive(work, length);
    } finally {
      if (!stored) this.#quota?.release(length);
    }
    if (stored) this.#count('write', work, length);
    return DONE;
  }

  /** Takes the body and stores it; false when somebody else has stored the same meanwhile. */
  async #receive(work: FileWork, length: number): Promise<boolean> {
    const { file, message, repository } = work;
    const { stallMs, verifyUploads } = this.#settings;
    const giveBack = await this.#uploads.take(length, message.signal);
    const blocks = this.#blocks.take(length);
    try {
      const digest = await receive(message, blocks, stallMs);
      const isVerified = verifyUploads && file.type !== 'config';
      if (isVerified && digest !== file.name) throw new Refusal(400);
      const turn = `${repository}/${file.type}/${file.name}`;
      return await this.#turns.run(turn, (waited) => this.#save(work, blocks, isVerified, waited));
    } finally {
      this.#blocks.giveBack(blocks);
      giveBack();
    }
  }

  /**
   * Two clients may send the same name at once, or one again after it lost the answer. Who comes second is told of
   * success where the name says what the content is, and is refused where it could be another one.
   */
  async #save(work: FileWork, blocks: readonly Uint8Array[], isVerified: boolean, waited: boolean): Promise<boolean> {
    const { backend, file } = work;
    if ((waited || !isVerified) && (await existingSize(work)) !== undefined) {
      if (isVerified) return false;
      throw new Refusal(403);
    }
    // Not ended with the client: what has arrived whole is as good stored as not.
    await backend.save(file, blocks);
    return true;
  }

  async #remove(work: FileWork): Promise<Answer> {
    const { backend, file } = work;
    if (this.#settings.appendOnly && file.type !== 'lock') return plain(403);
    if (this.#quota === undefined && this.#settings.metrics === false) {
      await backend.remove(file);
      return DONE;
    }
    const remove = async (): Promise<number> => {
      const size = await existingSize(work);
      await backend.remove(file);
      if (size !== undefined) this.#count('delete', work, size);
      return size ?? 0;
    };
    await (this.#quota?.removing(remove) ?? remove());
    return DONE;
  }

  /** As restic's server, without the config. */
  #count(operation: Operation, { user, repository, folder, file }: FileWork, bytes: number): void {
    if (this.#settings.metrics === false || file.type === 'config') return;
    this.metrics.add(operation, { user, repository, folder }, bytes);
  }
}

/** The size of a file; undefined when there is none. */
async function existingSize({ backend, file, message }: FileWork): Promise<number | undefined> {
  try {
    return (await backend.stat(file, { signal: message.signal })).size;
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    throw error;
  }
}

/** Bytes of all files in a repository. */
async function sizeOf(backend: Backend): Promise<number> {
  let bytes = 0;
  for (const type of TYPES) for await (const { size } of backend.list(type)) bytes += size;
  return bytes;
}
