import { EngineError } from '@restic-engine/repo-format';
import type { Backend, FileHandle, ListedFile } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { memoryBackend, withFaults, withRetry, wrap } from '../../src/index.ts';
import type { Fault, FaultCall, Retry } from '../../src/index.ts';
import { override } from '../../src/wrap/wrap.ts';
import { fakeTime } from './time.ts';

const FILE: FileHandle = { type: 'data', name: 'ab'.repeat(32) };
const BYTES = new Uint8Array([1, 2, 3]);

/** A store with faults, below a retry. */
function setUp(faults: Fault[], inner: Backend = memoryBackend(), random = 0.5) {
  const time = fakeTime(random);
  const calls: FaultCall[] = [];
  const retries: Retry[] = [];
  const faulty = withFaults({ faults, onCall: (call) => calls.push(call), time });
  const retry = withRetry({ time, onRetry: (event) => retries.push(event) });
  return { backend: wrap(inner, faulty, retry), inner, calls, retries, time };
}

const on =
  (method: FaultCall['method']) =>
  (call: FaultCall): boolean =>
    call.method === method;
const failing = (method: FaultCall['method'], ...nths: number[]): Fault[] =>
  nths.map((nth) => ({ when: on(method), nth, effect: { kind: 'fail-before' } }));

async function names(listing: AsyncIterable<ListedFile>): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of listing) found.push(name);
  return found;
}

describe('withRetry', () => {
  it('repeats a failed call until it works, waiting 1, 2, 4 … seconds', async () => {
    const { backend, time, retries } = setUp(failing('save', 1, 2, 3));
    await backend.save(FILE, [BYTES]);
    expect(await backend.load(FILE)).toEqual(BYTES);
    expect(time.sleeps).toEqual([1000, 2000, 4000]);
    expect(retries.map(({ operation, attempt, delayMs }) => [operation, attempt, delayMs])).toEqual([
      [`save data/ab/${FILE.name}`, 1, 1000],
      [`save data/ab/${FILE.name}`, 2, 2000],
      [`save data/ab/${FILE.name}`, 3, 4000],
    ]);
  });

  it('repeats every method', async () => {
    const methods = ['create', 'save', 'load', 'stat', 'remove'] as const;
    const { backend, retries } = setUp(methods.flatMap((method) => failing(method, 1)));
    await backend.create();
    await backend.save(FILE, [BYTES]);
    await backend.load(FILE);
    await backend.stat(FILE);
    await backend.remove(FILE);
    expect(retries.map(({ operation }) => operation.split(' ')[0])).toEqual(methods);
  });

  it('waits 60 seconds at most and gives up within 15 minutes', async () => {
    const { backend, time } = setUp([{ effect: { kind: 'fail-before' } }]);
    await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'io', message: 'injected fault' });
    expect(time.sleeps.slice(0, 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(Math.max(...time.sleeps)).toBe(60_000);
    expect(time.now()).toBeLessThanOrEqual(15 * 60_000);
    expect(time.now()).toBeGreaterThan(13 * 60_000);
  });

  it.each([
    [0, 500],
    [0.999, 1499],
  ])('varies the wait by half: chance %d gives %d ms', async (random, delay) => {
    const { backend, time } = setUp(failing('stat', 1), memoryBackend(), random);
    await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'not-found' });
    expect(time.sleeps).toEqual([delay]);
  });

  it('tries once more even if the first attempt took longer than the whole allowance', async () => {
    const time = fakeTime();
    let calls = 0;
    const slow: Backend = {
      ...memoryBackend(),
      location: 'slow',
      traits: memoryBackend().traits,
      stat: async () => {
        calls += 1;
        time.advance(20 * 60_000);
        throw new EngineError('io', 'timeout');
      },
    } as Backend;
    await expect(wrap(slow, withRetry({ time })).stat(FILE)).rejects.toMatchObject({ code: 'io' });
    expect(calls).toBe(2);
  });

  it('keeps to a number of attempts', async () => {
    const time = fakeTime();
    const faulty = wrap(memoryBackend(), withFaults({ faults: [{ effect: { kind: 'fail-before' } }] }));
    await expect(wrap(faulty, withRetry({ time, attempts: 3 })).stat(FILE)).rejects.toMatchObject({ code: 'io' });
    expect(time.sleeps).toHaveLength(2);
    await expect(wrap(faulty, withRetry({ time, attempts: 1 })).stat(FILE)).rejects.toMatchObject({ code: 'io' });
    expect(time.sleeps).toHaveLength(2);
  });

  it.each([
    'denied',
    'no-space',
    'out-of-range',
    'not-found',
    'already-exists',
    'unauthorized',
    'untrusted',
    'clock-skew',
    'corrupt',
    'too-large',
    'bad-request',
  ] as const)('does not repeat %s', async (code) => {
    const error = new EngineError(code, 'final');
    const { backend, time } = setUp([{ effect: { kind: 'fail-before', error } }]);
    await expect(backend.save(FILE, [BYTES])).rejects.toBe(error);
    await expect(backend.load(FILE)).rejects.toBe(error);
    await expect(names(backend.list('data'))).rejects.toBe(error);
    expect(time.sleeps).toEqual([]);
  });

  it('does not repeat mistakes of the program', async () => {
    const mistake = new TypeError('wrong');
    const { backend, time } = setUp([{ effect: { kind: 'fail-before', error: mistake as EngineError } }]);
    await expect(backend.stat(FILE)).rejects.toBe(mistake);
    expect(time.sleeps).toEqual([]);
  });

  it('waits at least as long as the store demands', async () => {
    const busy = (retryAfterMs: number): EngineError => new EngineError('throttled', 'busy', { retryAfterMs });
    const demands = [7000, 100, -5, Number.NaN, 0];
    const faults = demands.map(
      (ms, index): Fault => ({ nth: index + 1, effect: { kind: 'fail-before', error: busy(ms) } }),
    );
    const { backend, time, retries } = setUp(faults);
    await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'not-found' });
    expect(time.sleeps).toEqual([7000, 2000, 4000, 8000, 16_000]);
    expect(retries[0]).toMatchObject({ delayMs: 7000, error: { code: 'throttled' } });
  });

  it('gives up at once when the store wants to be left alone for longer than it may take', async () => {
    const busy = (retryAfterMs: number): EngineError => new EngineError('throttled', 'busy', { retryAfterMs });
    const never = setUp([{ effect: { kind: 'fail-before', error: busy(15 * 60_000 + 1) } }]);
    await expect(never.backend.stat(FILE)).rejects.toMatchObject({ code: 'throttled' });
    expect(never.time.sleeps).toEqual([]);
    const often = setUp([{ effect: { kind: 'fail-before', error: busy(8 * 60_000) } }]);
    await expect(often.backend.stat(FILE)).rejects.toMatchObject({ code: 'throttled' });
    expect(often.time.sleeps).toEqual([8 * 60_000]);
    const forever = setUp([{ effect: { kind: 'fail-before', error: busy(Number.POSITIVE_INFINITY) } }]);
    await expect(forever.backend.stat(FILE)).rejects.toMatchObject({ code: 'throttled' });
    expect(forever.time.sleeps).toEqual([]);
  });

  it('can be aborted while it waits', async () => {
    const controller = new AbortController();
    const faulty = withFaults({ faults: [{ effect: { kind: 'fail-before' } }] });
    const onRetry = (): void => void setImmediate(() => controller.abort());
    const backend = wrap(memoryBackend(), faulty, withRetry({ onRetry }));
    const start = performance.now();
    await expect(backend.stat(FILE, controller)).rejects.toMatchObject({ code: 'aborted' });
    expect(performance.now() - start).toBeLessThan(400);
  });

  it('waits no longer once it is disposed of', async () => {
    const faulty = withFaults({ faults: [{ effect: { kind: 'fail-before' } }] });
    const waiting = Promise.withResolvers<void>();
    const backend = wrap(memoryBackend(), faulty, withRetry({ onRetry: () => waiting.resolve() }));
    const start = performance.now();
    const loading = backend.load(FILE).catch((error: unknown) => error);
    const { signal } = new AbortController();
    const listing = names(backend.list('data', { signal })).catch((error: unknown) => error);
    await waiting.promise;
    await backend[Symbol.asyncDispose]();
    expect(await loading).toMatchObject({ code: 'aborted' });
    expect(await listing).toMatchObject({ code: 'aborted' });
    expect(performance.now() - start).toBeLessThan(400);
  });

  it('goes on with a listing where it broke off, without repeating names', async () => {
    const inner = memoryBackend();
    const stored = ['aa', 'bb', 'cc', 'dd'].map((pair) => pair.repeat(32));
    for (const name of stored) await inner.save({ type: 'data', name }, [BYTES]);
    const breaks: Fault[] = [1, 2].map((nth) => ({ nth, effect: { kind: 'fail-after', names: nth + 1 } }));
    const { backend, time } = setUp(breaks, inner);
    expect(await names(backend.list('data'))).toEqual(stored);
    expect(time.sleeps).toEqual([1000, 2000]);
  });

  it('does not take an error of the reader for one of the listing', async () => {
    const { backend, inner, time } = setUp([]);
    await inner.save(FILE, [BYTES]);
    const reading = async (): Promise<void> => {
      for await (const { name } of backend.list('data')) throw new EngineError('io', `reader of ${name}`);
    };
    await expect(reading()).rejects.toMatchObject({ message: `reader of ${FILE.name}` });
    expect(time.sleeps).toEqual([]);
  });
});

describe('withRetry, where a store refuses existing names', () => {
  const lostAnswer: Fault[] = [{ when: on('save'), nth: 1, effect: { kind: 'fail-after' } }];

  it('removes what a failed save may have left, then sends it again', async () => {
    const { backend, calls } = setUp(lostAnswer, memoryBackend({ atomicReplace: false }));
    await backend.save(FILE, [BYTES]);
    expect(calls.map(({ method }) => method)).toEqual(['save', 'remove', 'save']);
    expect(await backend.load(FILE)).toEqual(BYTES);
  });

  it('removes nothing where saving replaces', async () => {
    const { backend, calls } = setUp(lostAnswer);
    await backend.save(FILE, [BYTES]);
    expect(calls.map(({ method }) => method)).toEqual(['save', 'save']);
  });

  it('takes a file of the right size for its own when it may not remove', async () => {
    const { backend, calls } = setUp(lostAnswer, memoryBackend({ atomicReplace: false, canRemove: false }));
    await backend.save(FILE, [BYTES]);
    expect(calls.map(({ method }) => method)).toEqual(['save', 'save', 'stat']);
  });

  it('does not take a file of another size for its own', async () => {
    const inner = memoryBackend({ atomicReplace: false, canRemove: false });
    await inner.save(FILE, [new Uint8Array(9)]);
    const { backend } = setUp(failing('save', 1), inner);
    await expect(backend.save(FILE, [BYTES])).rejects.toMatchObject({ code: 'already-exists' });
  });

  it('never removes or adopts a config, which may be someone else’s', async () => {
    const config: FileHandle = { type: 'config', name: '' };
    const inner = memoryBackend({ atomicReplace: false });
    await inner.save(config, [new Uint8Array([9, 9, 9])]);
    const { backend, calls } = setUp(failing('save', 1), inner);
    await expect(backend.save(config, [BYTES])).rejects.toMatchObject({ code: 'already-exists' });
    expect(calls.map(({ method }) => method)).toEqual(['save', 'save', 'stat', 'load']);
    expect(await inner.load(config)).toEqual(new Uint8Array([9, 9, 9]));
  });

  it('knows its own config again when only the answer got lost', async () => {
    const config: FileHandle = { type: 'config', name: '' };
    const { backend } = setUp(lostAnswer, memoryBackend({ atomicReplace: false }));
    await backend.save(config, [BYTES.subarray(0, 1), BYTES.subarray(1)]);
    expect(await backend.load(config)).toEqual(BYTES);
  });

  it('goes on when a server that only takes in does not let it remove anything', async () => {
    const inner = memoryBackend({ atomicReplace: false, canRemove: false });
    const secretive = override(inner, { traits: { ...inner.traits, canRemove: true } });
    const { backend, calls } = setUp(lostAnswer, secretive);
    await backend.save(FILE, [BYTES]);
    expect(calls.map(({ method }) => method)).toEqual(['save', 'remove', 'save', 'stat']);
  });

  it('does not turn a first already-exists into success', async () => {
    const inner = memoryBackend({ atomicReplace: false });
    await inner.save(FILE, [BYTES]);
    const { backend } = setUp([], inner);
    await expect(backend.save(FILE, [BYTES])).rejects.toMatchObject({ code: 'already-exists' });
  });
});

describe('withRetry, for a file that cannot be loaded', () => {
  it('fails at once for an hour after all attempts were in vain, and then tries again', async () => {
    const inner = memoryBackend();
    await inner.save(FILE, [BYTES]);
    let broken = true;
    const { backend, time, calls } = setUp([{ when: () => broken, effect: { kind: 'fail-before' } }], inner);
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'io' });
    const attempts = calls.length;
    broken = false;
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'io', context: { file: `data/ab/${FILE.name}` } });
    expect(calls).toHaveLength(attempts);
    await expect(backend.load({ ...FILE, type: 'index' })).rejects.toMatchObject({ code: 'not-found' });
    time.advance(60 * 60_000);
    expect(await backend.load(FILE)).toEqual(BYTES);
  });

  it('stays open to a file whose loads were refused for good', async () => {
    const { backend, inner } = setUp([]);
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'not-found' });
    await inner.save(FILE, [BYTES]);
    expect(await backend.load(FILE)).toEqual(BYTES);
  });
});
