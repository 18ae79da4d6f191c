/**
 * Which packs a check has read and found sound, in a file beside the local cache of the repository, so that another one
 * can go on from there. A line each, written as it happens: whatever ends a check, what it has read stays known.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Id, Repository } from 'restic-engine';
import { cacheFolder } from './cache.ts';
import type { Context } from './context.ts';
import { Fatal } from './failure.ts';
import type { Engine } from './open.ts';

/** No name that restic uses in its cache. */
const NAME = 'restic-engine-check';
const HEADER = /^restic-engine check 1 (\S+)$/;
const LINE = /^([0-9a-f]{64}) (\d{1,15})$/;
/** What was read longer ago is no news any more: disks forget. */
const MAX_AGE_MS = 30 * 86_400_000;

export interface ReadState extends Disposable {
  /** What earlier checks have read. */
  readonly soundPacks: ReadonlyMap<Id, number>;
  /** Packs that need not be read again by now. */
  readonly noted: number;
  readonly add: (pack: Id, bytes: number) => void;
  /** All that was to be read has been: the next check begins anew. */
  forget(): void;
}

/**
 * The state of reading the data of a repository: with `resume` what an earlier check has left, else a new one in its
 * place. Undefined where nothing can be kept, for which with `resume` the command fails.
 */
export function openReadState(
  context: Context,
  engine: Engine,
  { config }: Repository,
  resume: boolean,
): ReadState | undefined {
  if (!context.globals.cache.wanted) {
    if (resume) throw new Fatal('--resume goes on from what is noted in the cache, and there is none with --no-cache');
    return undefined;
  }
  let folder: string;
  try {
    folder = cacheFolder(engine, context);
  } catch (error) {
    if (resume || !engine.EngineError.is(error, 'bad-request')) throw error;
    return undefined;
  }
  const path = join(folder, config.id, NAME);
  const earlier = resume ? readState(path) : undefined;
  if (earlier !== undefined && Date.now() - earlier.startedMs > MAX_AGE_MS) {
    context.ui.say('the interrupted check is too long ago, beginning anew');
    return new ReadStateFile(context, path, undefined);
  }
  return new ReadStateFile(context, path, earlier?.soundPacks);
}

class ReadStateFile implements ReadState {
  readonly soundPacks: ReadonlyMap<Id, number>;
  readonly #context: Context;
  readonly #path: string;
  readonly #flags: 'a' | 'w';
  #file: number | undefined;
  #usable = true;
  #added = 0;

  /** Continues the file where `soundPacks` are what is in it; makes it anew where they are undefined. */
  constructor(context: Context, path: string, soundPacks: ReadonlyMap<Id, number> | undefined) {
    this.#context = context;
    this.#path = path;
    this.#flags = soundPacks === undefined ? 'w' : 'a';
    this.soundPacks = soundPacks ?? new Map();
  }

  readonly add = (pack: Id, bytes: number): void => {
    this.#added += 1;
    this.#attempt(() => writeSync(this.#opened(), `${pack} ${bytes}\n`));
  };

  get noted(): number {
    return this.soundPacks.size + this.#added;
  }

  forget(): void {
    this[Symbol.dispose]();
    this.#attempt(() => {
      rmSync(this.#path, { force: true });
      const folder = dirname(this.#path);
      // Without a cache in it, it was made for the notes.
      if (this.#added > 0 && readdirSync(folder).length === 0) rmdirSync(folder);
    });
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Opened with the first pack: a check that does not get there changes nothing. */
  #opened(): number {
    if (this.#file === undefined) {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#file = openSync(this.#path, this.#flags, 0o600);
      // What a killed check has left may end within a line.
      writeSync(this.#file, this.#flags === 'a' ? '\n' : `restic-engine check 1 ${new Date().toISOString()}\n`);
    }
    return this.#file;
  }

  /** A check is worth something without its notes. */
  #attempt(work: () => void): void {
    if (!this.#usable) return;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error;
      this.#usable = false;
      this.#context.ui.warn(`what is read cannot be noted for --resume: ${error.message}`);
    }
  }
}

/** What is in the file; undefined when there is none, or none of this kind. */
function readState(path: string): { startedMs: number; soundPacks: Map<Id, number> } | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const [header = '', ...lines] = text.split('\n');
  const startedMs = Date.parse(HEADER.exec(header)?.[1] ?? '');
  if (Number.isNaN(startedMs)) return undefined;
  const soundPacks = new Map<Id, number>();
  for (const line of lines) {
    const [, pack, bytes] = LINE.exec(line) ?? [];
    if (pack !== undefined) soundPacks.set(pack, Number(bytes));
  }
  return { startedMs, soundPacks };
}
