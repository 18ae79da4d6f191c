import { EngineError } from '@restic-engine/repo-format';
import type { Connect, Line } from './line.ts';
import { Session } from './protocol/session.ts';

/** Content that is worth a session of its own; less than this shares one. */
const LARGE = 1024 * 1024;

/**
 * The sessions with one server. One serves any number of small requests; a further one is opened when all of them have
 * content under way, since each has a window of its own. What breaks is dropped, and the next call connects anew.
 */
export class Sessions {
  readonly #connect: Connect;
  readonly #stuckMs: number;
  readonly #max: number;
  #line: Promise<Line> | undefined;
  #sessions: Session[] = [];
  /** A session being opened, by which all that need one wait. */
  #opening: Promise<Session> | undefined;
  #closed = false;
  /** Sessions the server does not give, beyond those it has given. */
  #limit = Number.POSITIVE_INFINITY;

  constructor(connect: Connect, max: number, stuckMs: number) {
    this.#connect = connect;
    this.#max = max;
    this.#stuckMs = stuckMs;
  }

  /** A session for a call that sends or receives about `bytes` of content. */
  async session(bytes: number): Promise<Session> {
    if (this.#closed) throw new EngineError('io', 'the connection was closed');
    this.#sessions = this.#sessions.filter((each) => each.failure === undefined);
    const best = leastBusy(this.#sessions);
    if (best === undefined) return (this.#opening ??= this.#open());
    const wantsMore =
      bytes >= LARGE && best.window.used > 0 && this.#sessions.length < Math.min(this.#max, this.#limit);
    if (wantsMore && this.#opening === undefined) {
      // Nobody waits for it: the others serve until it is there.
      this.#opening = this.#open();
      this.#opening.catch(() => {
        this.#limit = Math.max(1, this.#sessions.length);
      });
    }
    return best;
  }

  /** Ends all of them: what is under way rejects with `io`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const reason = new EngineError('io', 'the connection was closed');
    for (const session of this.#sessions) session.end(reason);
    const [line] = await Promise.allSettled([this.#line]);
    if (line.status === 'fulfilled') await line.value?.close();
  }

  async #open(): Promise<Session> {
    try {
      const line = await this.#liveLine();
      const session = await Session.start(await line.open(), this.#stuckMs);
      if (this.#closed) throw new EngineError('io', 'the connection was closed');
      this.#sessions.push(session);
      return session;
    } finally {
      this.#opening = undefined;
    }
  }

  async #liveLine(): Promise<Line> {
    const [known] = await Promise.allSettled([this.#line]);
    if (known.status === 'fulfilled' && known.value?.alive) return known.value;
    this.#limit = Number.POSITIVE_INFINITY;
    this.#line = this.#connect();
    return this.#line;
  }
}

function leastBusy(sessions: readonly Session[]): Session | undefined {
  let best: Session | undefined;
  for (const session of sessions) {
    if (best === undefined || load(session) < load(best)) best = session;
  }
  return best;
}

/** Content under way counts most; small requests only among equals. */
function load(session: Session): number {
  return session.window.used + session.waiting;
}
