import { tracingChannel } from 'node:diagnostics_channel';
import { EngineError } from '@restic-engine/repo-format';
import type { FileHandle } from '@restic-engine/repo-format';
import { afterEach, describe, expect, it } from 'vitest';
import { BACKEND_CHANNEL, memoryBackend, withFaults, withObserve, withRetry, wrap } from '../../src/index.ts';
import type { BackendEvent } from '../../src/index.ts';
import { fakeTime } from './time.ts';

const FILE: FileHandle = { type: 'data', name: 'ab'.repeat(32) };
const BYTES = new Uint8Array([1, 2, 3]);

/** What is published while it is watched, as it was at that moment. */
function watch(): { readonly seen: [string, BackendEvent][]; stop(): void } {
  const channel = tracingChannel<BackendEvent, BackendEvent>(BACKEND_CHANNEL);
  const seen: [string, BackendEvent][] = [];
  const note = (moment: string) => (event: BackendEvent) => void seen.push([moment, { ...event }]);
  const listeners = { start: note('start'), error: note('error'), asyncEnd: note('end') } as const;
  for (const [moment, listener] of [
    [channel.start, listeners.start],
    [channel.error, listeners.error],
    [channel.asyncEnd, listeners.asyncEnd],
  ] as const) {
    moment.subscribe(listener as (message: unknown) => void);
  }
  const stop = (): void => {
    channel.start.unsubscribe(listeners.start as (message: unknown) => void);
    channel.error.unsubscribe(listeners.error as (message: unknown) => void);
    channel.asyncEnd.unsubscribe(listeners.asyncEnd as (message: unknown) => void);
  };
  stops.push(stop);
  return { seen, stop };
}

const stops: (() => void)[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop()));

describe('withObserve', () => {
  it('publishes each call: method, file, bytes, duration', async () => {
    const { seen } = watch();
    const backend = wrap(memoryBackend(), withObserve());
    await backend.create();
    await backend.save(FILE, [BYTES, BYTES]);
    await backend.load(FILE, { offset: 1, length: 4 });
    await backend.stat(FILE);
    expect(await Array.fromAsync(backend.list('data'))).toHaveLength(1);
    await backend.remove(FILE);
    const ends = seen.filter(([moment]) => moment === 'end').map(([, event]) => event);
    expect(seen).toHaveLength(12);
    expect(seen.filter(([moment]) => moment === 'start')).toHaveLength(6);
    const file = { location: 'memory', ...FILE, durationMs: expect.any(Number) };
    const none = { location: 'memory', type: undefined, name: undefined, durationMs: expect.any(Number) };
    expect(ends).toEqual([
      { ...none, method: 'create' },
      { ...file, method: 'save', bytes: 6 },
      { ...file, method: 'load', bytes: 4 },
      { ...file, method: 'stat' },
      { ...none, method: 'list', type: 'data', files: 1 },
      { ...file, method: 'remove' },
    ]);
    expect(seen[2]).toEqual(['start', { location: 'memory', ...FILE, method: 'save', bytes: 6 }]);
  });

  it('tells of failures with their code, and of every attempt below a retry', async () => {
    const { seen } = watch();
    const faults = withFaults({ faults: [{ nth: 1, effect: { kind: 'fail-before' } }] });
    const backend = wrap(memoryBackend(), faults, withObserve(), withRetry({ time: fakeTime() }));
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'not-found' });
    expect(seen.map(([moment, { code }]) => [moment, code])).toEqual([
      ['start', undefined],
      ['error', 'io'],
      ['end', 'io'],
      ['start', undefined],
      ['error', 'not-found'],
      ['end', 'not-found'],
    ]);
    expect(seen[4]?.[1].error).toBeInstanceOf(EngineError);
  });

  it('tells of listings that break off, and of those that are left', async () => {
    const inner = memoryBackend();
    for (const pair of ['aa', 'bb', 'cc']) await inner.save({ type: 'key', name: pair.repeat(32) }, [BYTES]);
    const { seen } = watch();
    const broken = wrap(inner, withFaults({ faults: [{ effect: { kind: 'fail-after', names: 2 } }] }), withObserve());
    await expect(Array.fromAsync(broken.list('key'))).rejects.toMatchObject({ code: 'io' });
    for await (const { size } of wrap(inner, withObserve()).list('key')) if (size > 0) break;
    expect(seen.map(([moment, { files, code }]) => [moment, files, code])).toEqual([
      ['start', 0, undefined],
      ['error', 2, 'io'],
      ['end', 2, 'io'],
      ['start', 0, undefined],
      ['end', 1, undefined],
    ]);
  });

  it('publishes neither contents nor anything once nobody watches', async () => {
    const { seen, stop } = watch();
    const backend = wrap(memoryBackend(), withObserve());
    await backend.save(FILE, [new TextEncoder().encode('hunter2')]);
    await backend.load(FILE);
    expect(JSON.stringify(seen)).not.toContain('hunter2');
    expect(seen.flatMap(([, event]) => Object.values(event)).some((value) => value instanceof Uint8Array)).toBe(false);
    stop();
    const before = seen.length;
    await backend.load(FILE);
    expect(seen).toHaveLength(before);
  });
});
