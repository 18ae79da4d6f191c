/** Users and passwords as Apache's htpasswd writes them; kinds as in restic's server: bcrypt and {SHA}. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { compare } from 'bcryptjs';
import type { Authenticate } from '../options.ts';
import { CheckQueue } from './queue.ts';
import { Verified } from './verified.ts';

/** As in restic's server, so that a name can be a folder and a label. */
const USER = /^[\p{L}\d@._-]+$/u;
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const SHA = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/;

/** Salt and hash of nobody's password: who does not exist is refused as slowly as who does. */
const NOBODY = '/////////////////////////////////////////////////////';

/** What a text of htpasswd's says. */
export interface Users {
  /** name → hash */
  readonly hashes: ReadonlyMap<string, string>;
  /** Lines that were passed over, for people: `line 3: no user`. They never show a hash. */
  readonly problems: readonly string[];
}

/** Reads lines of `user:hash`; empty ones and those that begin with `#` are comments. */
export function parseUsers(text: string): Users {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [user = '', hash = ''] = line.split(':', 2);
    if (!USER.test(user)) problems.push(`line ${index + 1}: no user name`);
    else if (!BCRYPT.test(hash) && !SHA.test(hash)) {
      problems.push(`line ${index + 1}: the password of ${user} is neither bcrypt nor {SHA}: use htpasswd -B`);
    } else hashes.set(user, hash);
  }
  return { hashes, problems };
}

/** Checks passwords against users that may be replaced. */
export class Gate {
  readonly #verified: Verified;
  readonly #queue = new CheckQueue();
  #users: ReadonlyMap<string, string>;

  constructor(users: ReadonlyMap<string, string>, now: () => number = Date.now) {
    this.#users = users;
    this.#verified = new Verified(now);
  }

  replace(users: ReadonlyMap<string, string>): void {
    this.#users = users;
    this.#verified.clear();
  }

  async check(user: string, password: string): Promise<boolean> {
    if (this.#verified.has(user, password)) return true;
    const users = this.#users;
    const hash = users.get(user) ?? decoy(users);
    const [, sha] = SHA.exec(hash) ?? [];
    const matches = sha === undefined ? await this.#isBcrypt(user, password, hash) : isSha(password, sha);
    // What counts is what the file says now, if it was replaced meanwhile.
    if (!matches || this.#users.get(user) !== hash) return false;
    this.#verified.add(user, password);
    return true;
  }

  /** Of the many requests that a client begins with, one pays. */
  #isBcrypt(user: string, password: string, hash: string): Promise<boolean> {
    return this.#queue.run(async () => this.#verified.has(user, password) || compare(password, hash));
  }
}

/** What an unknown name is compared with: it costs what the passwords of the others cost, and nothing matches it. */
function decoy(users: ReadonlyMap<string, string>): string {
  for (const hash of users.values()) {
    const [, cost] = BCRYPT.exec(hash) ?? [];
    if (cost !== undefined) return `$2b$${cost}$${NOBODY}`;
  }
  return '{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=';
}

function isSha(password: string, encoded: string): boolean {
  const digest = createHash('sha1').update(password).digest();
  return timingSafeEqual(digest, Buffer.from(encoded, 'base64'));
}

/**
 * The check for users in the format of Apache's `htpasswd -B`: lines of `user:hash` with bcrypt (`$2a$`, `$2b$`, `$2y$`)
 * or `{SHA}`. Lines that cannot be understood let nobody in. Right passwords are remembered for minutes, as a keyed
 * hash, because bcrypt takes 50 ms and more for each request.
 */
export function htpasswd(text: string): Authenticate {
  const gate = new Gate(parseUsers(text).hashes);
  return (user, password) => gate.check(user, password);
}
