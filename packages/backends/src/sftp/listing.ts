import { isId, throwIfAborted } from '@restic-engine/repo-format';
import type { FileType, ListedFile } from '@restic-engine/repo-format';
import { folderOf } from '../layout.ts';
import { orAborted } from './abort.ts';
import { onFile } from './errors.ts';
import { broken } from './protocol/packet.ts';
import type { Entry, Handle, Session } from './protocol/session.ts';
import { isStatus } from './protocol/status.ts';

/** Pack folders read at once: enough that the line is never idle, few enough that memory stays flat. */
const FOLDERS_AT_ONCE = 24;
/** Requests for the next names of one folder under way at once. */
const READS_AT_ONCE = 2;
/** No folder of a repository holds so many other things in a row; a server that makes up names might. */
const MAX_STRANGERS = 1_000_000;

/** Where a listing reads. */
export interface Place {
  readonly session: Session;
  /** Turns a path below the repository into one the server understands. */
  readonly path: (below: string) => string;
  readonly signal: AbortSignal | undefined;
}

/** Lists the files of `type`. */
export async function* listFiles(place: Place, type: FileType): AsyncGenerator<ListedFile> {
  for await (const files of type === 'data' ? listPacks(place) : listFolder(place, folderOf(type), '')) {
    for (const file of files) {
      throwIfAborted(place.signal);
      yield file;
    }
  }
}

async function* listPacks(place: Place): AsyncGenerator<ListedFile[]> {
  const folder = folderOf('data');
  const prefixes: string[] = [];
  for await (const entries of readFolder(place, folder)) {
    for (const { name, kind } of entries) if (/^[0-9a-f]{2}$/.test(name) && kind !== 'file') prefixes.push(name);
  }
  const folders = prefixes.map((prefix) => listFolder(place, `${folder}/${prefix}`, prefix));
  yield* together(folders, FOLDERS_AT_ONCE);
}

/** Files of one folder whose names begin with `prefix`: a pack in the wrong folder would not load under its name. */
async function* listFolder(place: Place, folder: string, prefix: string): AsyncGenerator<ListedFile[]> {
  let strangers = 0;
  for await (const entries of readFolder(place, folder)) {
    const fitting = entries.filter(({ name, kind }) => {
      return isId(name) && name.startsWith(prefix) && (kind === undefined || kind === 'file');
    });
    strangers = fitting.length > 0 ? 0 : strangers + entries.length;
    if (strangers > MAX_STRANGERS) throw broken(`${folder} has no end`);
    const files = await Promise.all(fitting.map((entry) => sizeOf(place, folder, entry)));
    yield files.filter((file) => file !== undefined);
  }
}

/** A file with its size, which is asked for where the listing left it out; undefined when it is gone since. */
async function sizeOf(place: Place, folder: string, { name, size }: Entry): Promise<ListedFile | undefined> {
  if (size !== undefined) return { name, size };
  const path = `${folder}/${name}`;
  return onFile('list', path, async () => {
    try {
      const found = await orAborted(place.session.stat(place.path(path)), place.signal);
      return found.kind === 'folder' || found.size === undefined ? undefined : { name, size: found.size };
    } catch (error) {
      if (isStatus(error, 'NO_SUCH_FILE')) return undefined;
      throw error;
    }
  });
}

/** What is in a folder, some entries at a time; nothing where there is no folder. */
async function* readFolder({ session, path, signal }: Place, folder: string): AsyncGenerator<Entry[]> {
  throwIfAborted(signal);
  const opening = session.openFolder(path(folder));
  const reads: Promise<Entry[] | undefined>[] = [];
  try {
    const handle = await onFile('list', folder, () => orAborted(unlessMissing(opening), signal));
    if (handle === undefined) return;
    for (;;) {
      while (reads.length < READS_AT_ONCE) reads.push(readAhead(session, handle));
      const entries = await onFile('list', folder, () =>
        orAborted(reads.shift() ?? Promise.resolve(undefined), signal),
      );
      if (entries === undefined) return;
      if (entries.length === 0) throw broken('an empty part of a folder');
      yield entries;
    }
  } finally {
    opening.then((handle) => session.close(handle)).catch(() => undefined);
  }
}

/** A read that may never be waited for, and then fails in silence. */
function readAhead(session: Session, handle: Handle): Promise<Entry[] | undefined> {
  const reading = session.readFolder(handle);
  reading.catch(() => undefined);
  return reading;
}

async function unlessMissing(opening: Promise<Handle>): Promise<Handle | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (isStatus(error, 'NO_SUCH_FILE')) return undefined;
    throw error;
  }
}

/** Everything from all of `sources`, `count` of them read ahead by one step. Ends those that are left early. */
async function* together<T>(sources: readonly AsyncGenerator<T>[], count: number): AsyncGenerator<T> {
  const steps = new Map<AsyncGenerator<T>, Promise<{ source: AsyncGenerator<T>; step: IteratorResult<T> }>>();
  const advance = (source: AsyncGenerator<T>): void => {
    const next = source.next().then((step) => ({ source, step }));
    next.catch(() => undefined);
    steps.set(source, next);
  };
  const waiting = [...sources];
  for (const source of waiting.splice(0, count)) advance(source);
  try {
    while (steps.size > 0) {
      const { source, step } = await Promise.race(steps.values());
      steps.delete(source);
      if (step.done) {
        const next = waiting.shift();
        if (next !== undefined) advance(next);
        continue;
      }
      advance(source);
      yield step.value;
    }
  } finally {
    await Promise.allSettled([...steps.keys()].map((source) => source.return(undefined)));
  }
}
