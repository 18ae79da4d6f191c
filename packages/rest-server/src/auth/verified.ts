import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How long a password that was right need not be checked again after its last use, in milliseconds. */
const KEEP_MS = 5 * 60_000;

interface Entry {
  readonly digest: Buffer;
  until: number;
}

/** Passwords that were right lately, as hashes under a key that this process made up and nobody else has. */
export class Verified {
  readonly #key = randomBytes(32);
  readonly #now: () => number;
  /** user → the last password that was right. */
  readonly #entries = new Map<string, Entry>();

  constructor(now: () => number) {
    this.#now = now;
  }

  has(user: string, password: string): boolean {
    const entry = this.#entries.get(user);
    if (entry === undefined) return false;
    const now = this.#now();
    if (entry.until < now) {
      this.#entries.delete(user);
      return false;
    }
    if (!timingSafeEqual(entry.digest, this.#digest(user, password))) return false;
    entry.until = now + KEEP_MS;
    return true;
  }

  add(user: string, password: string): void {
    this.#entries.set(user, { digest: this.#digest(user, password), until: this.#now() + KEEP_MS });
  }

  clear(): void {
    this.#entries.clear();
  }

  #digest(user: string, password: string): Buffer {
    return createHmac('sha256', this.#key).update(`${user.length}:${user}:${password}`).digest();
  }
}
