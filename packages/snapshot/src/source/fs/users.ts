/** Names of users and groups, from /etc/passwd and /etc/group as restic's official builds look them up. */
import { readFileSync } from 'node:fs';
import { pathFromBytes } from '@restic-engine/repo-format';
import { errorName } from '../../native/system-error.ts';

/** Names by id and ids by name; undefined for those that are not known. */
export interface UserDatabase {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
  userId(name: string): number | undefined;
  groupId(name: string): number | undefined;
}

/** One of the two files, read: the first line of an id or a name counts. */
interface AccountFile {
  readonly names: ReadonlyMap<number, string>;
  readonly ids: ReadonlyMap<string, number>;
}

/** Where the files are; other places are for tests and for the root of another system. */
export interface UserDatabaseOptions {
  readonly passwdFile?: string;
  readonly groupFile?: string;
}

/** A database that reads each file when it is first needed and then keeps it. A file that is missing knows nobody. */
export function createUserDatabase(options: UserDatabaseOptions = {}): UserDatabase {
  const { passwdFile = '/etc/passwd', groupFile = '/etc/group' } = options;
  let passwd: AccountFile | undefined;
  let group: AccountFile | undefined;
  const users = (): AccountFile => (passwd ??= readAccounts(passwdFile, 6));
  const groups = (): AccountFile => (group ??= readAccounts(groupFile, 3));
  return {
    userName: (uid) => users().names.get(uid),
    groupName: (gid) => groups().names.get(gid),
    userId: (name) => users().ids.get(name),
    groupId: (name) => groups().ids.get(name),
  };
}

/** `name:password:id:…` with at least `colons` colons, as Go's `os/user` demands. */
function readAccounts(path: string, colons: number): AccountFile {
  const names = new Map<number, string>();
  const ids = new Map<string, number>();
  for (const line of readText(path).split('\n')) {
    const [name = '', , id = '', ...rest] = line.trim().split(':');
    // Lines of NIS (+ and -) and comments name nobody.
    if (!/^\d+$/.test(id) || rest.length + 2 < colons || /^[+\-#]|^$/.test(name)) continue;
    const number = Number(id);
    if (!names.has(number)) names.set(number, name);
    if (!ids.has(name)) ids.set(name, number);
  }
  return { names, ids };
}

function readText(path: string): string {
  try {
    return pathFromBytes(readFileSync(path));
  } catch (error) {
    const name = errorName(error);
    if (name === 'ENOENT' || name === 'EACCES') return '';
    throw error;
  }
}
