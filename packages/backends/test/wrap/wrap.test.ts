import { EngineError } from '@restic-engine/repo-format';
import type { Backend, FileHandle, FileType } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { memoryBackend, withFaults, withLimit, withReadonly, withRetry, wrap } from '../../src/index.ts';
import type { FaultCall, Wrapper } from '../../src/index.ts';
import { override } from '../../src/wrap/wrap.ts';

const BYTES = new Uint8Array([1, 2, 3]);
const file = (type: FileType, pair = 'ab'): FileHandle => ({ type, name: pair.repeat(32) });

describe('wrap', () => {
  it('puts the first wrapper nearest to the store', async () => {
    const order: string[] = [];
    const noting =
      (name: string): Wrapper =>
      (inner) =>
        override(inner, {
          create: async (call) => {
            order.push(name);
            await inner.create(call);
          },
        });
    await wrap(memoryBackend(), noting('first'), noting('last')).create();
    expect(order).toEqual(['last', 'first']);
  });

  it.each<[string, Wrapper]>([
    ['withRetry', withRetry()],
    ['withLimit', withLimit()],
    ['withReadonly', withReadonly()],
    ['withFaults', withFaults({})],
  ])('%s disposes of the store once', async (_, wrapper) => {
    let disposals = 0;
    const inner = override(memoryBackend(), {
      [Symbol.asyncDispose]: async () => {
        disposals += 1;
      },
    });
    const backend = wrap(inner, wrapper);
    await Promise.all([backend[Symbol.asyncDispose](), backend[Symbol.asyncDispose]()]);
    await backend[Symbol.asyncDispose]();
    expect(disposals).toBe(1);
    expect(backend.location).toBe('memory');
  });
});

describe('withReadonly', () => {
  it('reads, and refuses to change anything', async () => {
    const inner = memoryBackend();
    await inner.save(file('data'), [BYTES]);
    const backend = wrap(inner, withReadonly());
    expect(await backend.load(file('data'))).toEqual(BYTES);
    await expect(backend.create()).rejects.toMatchObject({ code: 'denied' });
    await expect(backend.save(file('index'), [BYTES])).rejects.toMatchObject({ code: 'denied' });
    await expect(backend.remove(file('data'))).rejects.toMatchObject({ code: 'denied' });
    expect(await inner.stat(file('data'))).toEqual({ size: 3 });
    expect(backend.traits.canRemove).toBe(false);
  });
});

/** A store whose loads and stats wait until they are let go, one by one. */
function gated(): { backend: Backend; running: string[]; finish(): Promise<void> } {
  const gates: (() => void)[] = [];
  const running: string[] = [];
  const pass = async (handle: FileHandle): Promise<void> => {
    running.push(`${handle.type} ${handle.name.slice(0, 2)}`);
    await new Promise<void>((resolve) => gates.push(resolve));
  };
  const backend = override(memoryBackend(), {
    stat: async (handle) => {
      await pass(handle);
      return { size: 0 };
    },
    load: async (handle) => {
      await pass(handle);
      throw new EngineError('io', 'failed');
    },
  });
  const finish = async (): Promise<void> => {
    gates.shift()?.();
    await new Promise(setImmediate);
  };
  return { backend, running, finish };
}

describe('withLimit', () => {
  it('lets so many calls run, the others follow in the order they came', async () => {
    const { backend, running, finish } = gated();
    const limited = wrap(backend, withLimit(2));
    const calls = ['aa', 'bb', 'cc', 'dd', 'ee'].map((pair) => limited.stat(file('data', pair)));
    await new Promise(setImmediate);
    expect(running).toEqual(['data aa', 'data bb']);
    await finish();
    expect(running).toEqual(['data aa', 'data bb', 'data cc']);
    for (let count = 0; count < 4; count += 1) await finish();
    await Promise.all(calls);
    expect(running).toHaveLength(5);
  });

  it('frees the place of a call that fails', async () => {
    const { backend, running, finish } = gated();
    const limited = wrap(backend, withLimit(1));
    const failing = Promise.allSettled([limited.load(file('data', 'aa'))]);
    const next = limited.stat(file('data', 'bb'));
    await finish();
    expect(await failing).toMatchObject([{ reason: { code: 'io' } }]);
    expect(running).toEqual(['data aa', 'data bb']);
    await finish();
    await next;
  });

  it('lets lock files pass', async () => {
    const { backend, running, finish } = gated();
    const limited = wrap(backend, withLimit(1));
    const calls = [limited.stat(file('data')), limited.stat(file('data')), limited.stat(file('lock'))];
    await new Promise(setImmediate);
    expect(running).toEqual(['data ab', 'lock ab']);
    for (let count = 0; count < 3; count += 1) await finish();
    await Promise.all(calls);
  });

  it('lets go of a call that is aborted while it waits, and serves the one behind it', async () => {
    const { backend, running, finish } = gated();
    const limited = wrap(backend, withLimit(1));
    const controller = new AbortController();
    const first = limited.stat(file('data', 'aa'));
    const second = Promise.allSettled([limited.stat(file('data', 'bb'), controller)]);
    const third = limited.stat(file('data', 'cc'));
    controller.abort();
    expect(await second).toMatchObject([{ reason: { code: 'aborted' } }]);
    await finish();
    expect(running).toEqual(['data aa', 'data cc']);
    await finish();
    await Promise.all([first, third]);
  });

  it('lets a reader load what it lists, with one connection', async () => {
    const backend = wrap(memoryBackend(), withLimit(1));
    for (const pair of ['aa', 'bb']) await backend.save(file('index', pair), [BYTES]);
    let loaded = 0;
    for await (const { name } of backend.list('index')) loaded += (await backend.load({ type: 'index', name })).length;
    expect(loaded).toBe(6);
  });

  it('shows its limit as a trait and defaults to that of the store', () => {
    expect(wrap(memoryBackend(), withLimit(9)).traits.connections).toBe(9);
    expect(wrap(memoryBackend({ connections: 3 }), withLimit()).traits.connections).toBe(3);
    expect(() => wrap(memoryBackend(), withLimit(0))).toThrow(RangeError);
  });
});

describe('withFaults', () => {
  const saves = (call: FaultCall): boolean => call.method === 'save';

  it('fails before and after the store has done its work', async () => {
    const inner = memoryBackend();
    const backend = wrap(
      inner,
      withFaults({
        faults: [
          { when: saves, nth: 1, effect: { kind: 'fail-before', error: new EngineError('no-space', 'full') } },
          { when: saves, nth: 3, effect: { kind: 'fail-after' } },
        ],
      }),
    );
    await expect(backend.save(file('data', 'aa'), [BYTES])).rejects.toMatchObject({ code: 'no-space' });
    await backend.save(file('data', 'bb'), [BYTES]);
    await expect(backend.save(file('data', 'cc'), [BYTES])).rejects.toMatchObject({ code: 'io' });
    await expect(inner.stat(file('data', 'aa'))).rejects.toMatchObject({ code: 'not-found' });
    expect(await inner.stat(file('data', 'cc'))).toEqual({ size: 3 });
  });

  it('damages what is loaded, not what is stored', async () => {
    const inner = memoryBackend();
    await inner.save(file('data'), [BYTES]);
    const backend = wrap(
      inner,
      withFaults({
        faults: [
          { nth: 1, effect: { kind: 'truncate', length: 2 } },
          { nth: 2, effect: { kind: 'flip', offset: 0 } },
          { nth: 3, effect: { kind: 'flip', offset: -1 } },
        ],
      }),
    );
    expect([...(await backend.load(file('data')))]).toEqual([1, 2]);
    expect([...(await backend.load(file('data')))]).toEqual([254, 2, 3]);
    expect([...(await backend.load(file('data')))]).toEqual([1, 2, 252]);
    expect([...(await backend.load(file('data')))]).toEqual([1, 2, 3]);
  });

  it('delays a call, and lets it be aborted meanwhile', async () => {
    const backend = wrap(memoryBackend(), withFaults({ faults: [{ effect: { kind: 'delay', ms: 60_000 } }] }));
    await expect(backend.create({ signal: AbortSignal.timeout(10) })).rejects.toMatchObject({ code: 'aborted' });
  });

  it('breaks a listing off', async () => {
    const inner = memoryBackend();
    for (const pair of ['aa', 'bb', 'cc']) await inner.save(file('index', pair), [BYTES]);
    const backend = wrap(inner, withFaults({ faults: [{ effect: { kind: 'fail-after', names: 2 } }] }));
    const seen: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const { name } of backend.list('index')) seen.push(name);
    };
    await expect(reading()).rejects.toMatchObject({ code: 'io' });
    expect(seen).toHaveLength(2);
  });

  it('dies after so many calls and stays dead', async () => {
    const inner = memoryBackend();
    const counted: number[] = [];
    const plan = { crash: { after: 2, when: saves }, onCall: (call: FaultCall) => void counted.push(call.count) };
    const backend = wrap(inner, withFaults(plan));
    await backend.save(file('data', 'aa'), [BYTES]);
    await backend.stat(file('data', 'aa'));
    await backend.save(file('data', 'bb'), [BYTES]);
    await backend.stat(file('data', 'bb'));
    await expect(backend.save(file('data', 'cc'), [BYTES])).rejects.toMatchObject({ code: 'io' });
    await expect(backend.stat(file('data', 'aa'))).rejects.toMatchObject({ code: 'io' });
    await expect(backend.list('data')[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'io' });
    await expect(backend.remove(file('data', 'aa'))).rejects.toMatchObject({ code: 'io' });
    expect(counted).toEqual([1, 2, 3, 4]);
    expect(await inner.stat(file('data', 'bb'))).toEqual({ size: 3 });
    await expect(inner.stat(file('data', 'cc'))).rejects.toMatchObject({ code: 'not-found' });
  });

  it('tells of every call: method, type, file, number', async () => {
    const calls: FaultCall[] = [];
    const backend = wrap(memoryBackend(), withFaults({ onCall: (call) => calls.push(call) }));
    await backend.create();
    await backend.save(file('key'), [BYTES]);
    for await (const { name } of backend.list('key')) expect(name).toBe(file('key').name);
    expect(calls).toEqual([
      { method: 'create', type: undefined, file: undefined, count: 1 },
      { method: 'save', type: 'key', file: file('key'), count: 2 },
      { method: 'list', type: 'key', file: undefined, count: 3 },
    ]);
  });
});
