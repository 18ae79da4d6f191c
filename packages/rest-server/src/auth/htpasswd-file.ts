import { readFile, stat } from 'node:fs/promises';
import type { Authenticate } from '../options.ts';
import { Gate, parseUsers } from './htpasswd.ts';
import type { Users } from './htpasswd.ts';

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 10_000;

export interface HtpasswdFileOptions {
  /** Told after every reading what was found, or what kept the file from being read: then the users stay as they were. */
  readonly onRead?: (result: { readonly users: number; readonly problems: readonly string[] } | Error) => void;
  /** Replaces the clock; milliseconds. */
  readonly now?: () => number;
}

/** Users in a file. */
export interface HtpasswdFile {
  readonly authenticate: Authenticate;
  /** Reads the file now, whether it seems changed or not. Never rejects: see `onRead`. */
  reload(): Promise<void>;
}

/**
 * Users in a file of Apache's `htpasswd -B`, read again within seconds after it has changed. Rejects with the system's
 * error when it cannot be read now; later such errors leave the users as they are.
 */
export async function htpasswdFile(path: string, options: HtpasswdFileOptions = {}): Promise<HtpasswdFile> {
  const { onRead, now = Date.now } = options;
  let found = await read(path);
  let lookedAt = now();
  const gate = new Gate(found.users.hashes, now);
  const tell = ({ hashes, problems }: Users): void => onRead?.({ users: hashes.size, problems });
  const refresh = async (always: boolean): Promise<void> => {
    try {
      if (!always && (await stampOf(path)) === found.stamp) return;
      found = await read(path);
      gate.replace(found.users.hashes);
      tell(found.users);
    } catch (error) {
      onRead?.(error instanceof Error ? error : new Error(String(error)));
    }
  };
  tell(found.users);
  return {
    reload: () => refresh(true),
    async authenticate(user, password) {
      if (now() - lookedAt >= LOOK_MS) {
        lookedAt = now();
        await refresh(false);
      }
      return gate.check(user, password);
    },
  };
}

interface Found {
  readonly users: Users;
  readonly stamp: string;
}

/** The stamp is taken first: a file that changes while it is read is read again later. */
async function read(path: string): Promise<Found> {
  const stamp = await stampOf(path);
  return { users: parseUsers(await readFile(path, 'utf8')), stamp };
}

/** Changes when the file does, or when another one takes its place. */
async function stampOf(path: string): Promise<string> {
  const { ino, mtimeMs, size } = await stat(path);
  return `${ino} ${mtimeMs} ${size}`;
}
