/** Interrupts work on repositories at every call of a backend: it dies, a call fails, or somebody has enough of it. */
import { EngineError, withFaults, wrap } from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import type { FaultCall, FaultPlan, Wrapper } from '@restic-engine/backends';
import { expect } from 'vitest';
import { openStore, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { forAll } from './repository.ts';

/** Something to do to a repository. */
export type Work = (repository: Repository, signal: AbortSignal) => Promise<unknown>;

/**
 * The process dies before a call or when it has been carried out; the call fails before or after it is carried out, and
 * all others work; or the signal fires and the call takes for ever.
 */
type Kind = 'dies before' | 'dies after' | 'fails before' | 'fails after' | 'is aborted';

interface Interruption {
  readonly kind: Kind;
  /** The call, from 1. */
  readonly nth: number;
}

const FAILURE = new EngineError('throttled', 'injected failure');
const REASON = new Error('enough');
/** Who has enough of it waits no longer than this, in ms, on a busy machine. */
const PROMPTLY = 10_000;

const isLockRemoval = ({ method, type }: FaultCall): boolean => method === 'remove' && type === 'lock';

/** What goes wrong; `onStrike` is told of the call that is struck. */
function planOf({ kind, nth }: Interruption, onStrike: (call: FaultCall) => void): FaultPlan {
  const onCall = (call: FaultCall): void => {
    if (call.count === nth) onStrike(call);
  };
  const failing = (when: 'before' | 'after'): FaultPlan => {
    return { onCall, faults: [{ nth, effect: { kind: `fail-${when}`, error: FAILURE } }] };
  };
  switch (kind) {
    case 'dies before':
      return { onCall, crash: { after: nth - 1 } };
    case 'dies after':
      return { onCall, crash: { after: nth }, faults: [{ nth, effect: { kind: 'fail-after' } }] };
    case 'fails before':
      return failing('before');
    case 'fails after':
      return failing('after');
    case 'is aborted': {
      const sleep = (_: number, signal?: AbortSignal): Promise<void> =>
        new Promise((_resolve, reject) => {
          const stop = (): void => reject(new EngineError('aborted', 'told to stop', {}, { cause: signal?.reason }));
          if (signal?.aborted === true) stop();
          else signal?.addEventListener('abort', stop, { once: true });
        });
      // Locks are removed whatever the caller thinks of it.
      const when = (call: FaultCall): boolean => call.count === nth && !isLockRemoval(call);
      return { onCall, time: { sleep }, faults: [{ when, effect: { kind: 'delay', ms: 1 } }] };
    }
  }
}

/** What may be interrupted, and what is judged afterwards. */
export interface Mortal<Stores> {
  readonly setUp: () => Promise<Stores>;
  /** The backend that `faults` is around is the one whose calls are counted. */
  readonly work: (stores: Stores, faults: Wrapper, signal: AbortSignal) => Promise<unknown>;
  readonly judge: (stores: Stores, hasDied: boolean) => Promise<void>;
  /** With these, calls fail and are aborted too, and no lock may stay behind in them. @default it only dies */
  readonly backends?: (stores: Stores) => readonly Backend[];
}

/** Interrupts work at every call, each time with stores of its own. */
export async function atEveryCall<Stores>({ setUp, work, judge, backends }: Mortal<Stores>): Promise<void> {
  const calls: FaultCall[] = [];
  await work(await setUp(), withFaults({ onCall: (call) => calls.push(call) }), new AbortController().signal);
  expect(calls.length).toBeGreaterThan(8);
  const interruptions = calls.flatMap(({ method, count: nth }): Interruption[] => {
    // What reads leaves nothing behind: dying after it is dying before the next call.
    const isWriting = method === 'save' || method === 'remove';
    const deaths: Kind[] = isWriting ? ['dies before', 'dies after'] : ['dies before'];
    const failures: Kind[] = isWriting ? ['fails before', 'fails after', 'is aborted'] : ['fails before', 'is aborted'];
    return [...deaths, ...(backends === undefined ? [] : failures)].map((kind) => ({ kind, nth }));
  });
  let ended = 0;
  await forAll(interruptions, async (interruption) => {
    const stores = await setUp();
    const { error, struck } = await interrupt(interruption, (faults, signal) => work(stores, faults, signal));
    if (error !== undefined) ended += 1;
    const title = `${interruption.kind} call ${interruption.nth}, ${struck?.method} ${struck?.type}`;
    try {
      if (backends !== undefined) await expectNoLock(backends(stores), interruption.kind, struck);
      await judge(stores, error !== undefined);
    } catch (cause) {
      throw new Error(`${title}: ${String(cause)}`, { cause });
    }
  });
  expect(ended).toBeGreaterThan(interruptions.length / 2);
}

/** Resolves with what the work rejected with, which is what was to be expected, and the call that was struck. */
async function interrupt(
  interruption: Interruption,
  work: (faults: Wrapper, signal: AbortSignal) => Promise<unknown>,
): Promise<{ error: EngineError | undefined; struck: FaultCall | undefined }> {
  const stop = new AbortController();
  let struck: FaultCall | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stopped = new Promise<never>((_, reject) => {
    const tooLate = (): void => reject(new Error(`not stopped during ${struck?.method} ${struck?.type}`));
    stop.signal.addEventListener('abort', () => void (timer = setTimeout(tooLate, PROMPTLY)));
  });
  const onStrike = (call: FaultCall): void => {
    struck = call;
    if (interruption.kind === 'is aborted') stop.abort(REASON);
  };
  try {
    await Promise.race([work(withFaults(planOf(interruption, onStrike)), stop.signal), stopped]);
    return { error: undefined, struck };
  } catch (error) {
    if (!EngineError.is(error)) throw error;
    expect(error.code).toBe(CODES[interruption.kind]);
    if (interruption.kind === 'is aborted') expect(error.cause).toBe(REASON);
    return { error, struck };
  } finally {
    clearTimeout(timer);
  }
}

const CODES: Readonly<Record<Kind, EngineError['code']>> = {
  'dies before': 'io',
  'dies after': 'io',
  'fails before': FAILURE.code,
  'fails after': FAILURE.code,
  'is aborted': 'aborted',
};

async function expectNoLock(stores: readonly Backend[], kind: Kind, struck: FaultCall | undefined): Promise<void> {
  // The dead remove nothing, and what cannot be removed stays.
  if (kind.startsWith('dies') || (kind === 'fails before' && struck !== undefined && isLockRemoval(struck))) return;
  for (const store of stores) expect(await all(store.list('lock'))).toEqual([]);
}

/**
 * Lets work on one repository die at every call and hands over what is left, without the lock. With `errors` calls fail
 * and are aborted too.
 */
export function expectSurvival(
  files: readonly StoredFile[],
  work: Work,
  judge: (store: Backend, hasDied: boolean) => Promise<void>,
  { errors = false }: { readonly errors?: boolean } = {},
): Promise<void> {
  return atEveryCall({
    setUp: () => storeOf(files),
    work: async (store, faults, signal) => work(await openStore(wrap(store, faults), PASSWORD, signal), signal),
    judge: async (store, hasDied) => {
      for (const { name } of await all(store.list('lock'))) await store.remove({ type: 'lock', name });
      await judge(store, hasDied);
    },
    ...(errors && { backends: (store: Backend) => [store] }),
  });
}
