import { EngineError } from '@restic-engine/repo-format';
import { orAborted } from './abort.ts';
import type { Connect, Line } from './line.ts';
import { Session } from './protocol/session.ts';

/** Content that is worth a session of its own; less than this shares one. */
const LARGE = 1024 * 1024;

/** A session, and what uses it. */
interface Place {
  readonly session: Session;
  /** Bytes that the calls of the moment are about. */
  bytes: number;
}

/**
 * The sessions with one server. One serves any number of small requests; a further one is opened when all of them are busy
 * with content, since each has a window of its own. What breaks is dropped, and the next call connects anew.
 */
export class Sessions {
  readonly #connect: Connect;
  readonly #stuckMs: number;
  readonly #max: number;
  #line: Promise<Line> | undefined;
  #places: Place[] = [];
  /** A session being opened, by which all that need one wait. */
  #opening: Promise<Place> | undefined;
  #closed = false;
  /** How many sessions the server gives. */
  #limit = Number.POSITIVE_INFINITY;

  /** `max` sessions at most; `stuckMs` without an answer count as the end of one. */
  constructor(connect: Connect, max: number, stuckMs: number) {
    this.#connect = connect;
    this.#max = max;
    this.#stuckMs = stuckMs;
  }

  /** Runs `work`, which sends or receives about `bytes` of content, on the least busy session. */
  async use<T>(bytes: number, signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    const taking = this.#take(bytes);
    try {
      return await work((await orAborted(taking, signal)).session);
    } finally {
      taking.then((place) => (place.bytes -= bytes)).catch(() => undefined);
    }
  }

  /** Ends all of them: what is under way rejects with `io`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { session } of this.#places) session.end(closed());
    const [line] = await Promise.allSettled([this.#line]);
    if (line.status === 'fulfilled') await line.value?.close();
  }

  /** A session with room for `bytes`, which count from now on. */
  async #take(bytes: number): Promise<Place> {
    for (;;) {
      if (this.#closed) throw closed();
      this.#places = this.#places.filter(({ session }) => session.failure === undefined);
      const best = leastBusy(this.#places);
      if (best !== undefined && !this.#isWorthAnother(best, bytes)) {
        best.bytes += bytes;
        return best;
      }
      try {
        await this.#opened();
      } catch (error) {
        // A server may give fewer sessions than are wanted; those that are there serve.
        if (best === undefined || best.session.failure !== undefined) throw error;
        this.#limit = this.#places.length;
      }
    }
  }

  #isWorthAnother(best: Place, bytes: number): boolean {
    return bytes >= LARGE && best.bytes >= LARGE && this.#places.length < Math.min(this.#max, this.#limit);
  }

  #opened(): Promise<Place> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<Place> {
    const line = await this.#liveLine();
    const session = await this.#inTime(
      line,
      line.open().then((pipe) => Session.start(pipe, this.#stuckMs)),
    );
    if (this.#closed) throw closed();
    const place = { session, bytes: 0 };
    this.#places.push(place);
    return place;
  }

  /** A line on which no session comes about is of no use any more, whatever it says of itself: it is given up. */
  async #inTime(line: Line, session: Promise<Session>): Promise<Session> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#line = undefined;
        void line.close();
        const seconds = Math.round(this.#stuckMs / 1000);
        reject(new EngineError('io', `the server has not opened a session for ${seconds} s`));
      }, this.#stuckMs);
    });
    try {
      return await Promise.race([session, late]);
    } finally {
      clearTimeout(timer);
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

function closed(): EngineError {
  return new EngineError('io', 'the connection was closed');
}

function leastBusy(places: readonly Place[]): Place | undefined {
  let best: Place | undefined;
  for (const place of places) if (best === undefined || place.bytes < best.bytes) best = place;
  return best;
}
