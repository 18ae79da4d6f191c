import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { checkBackend, localBackend, memoryBackend, withFaults, wrap } from '../src/index.ts';
import type { BackendVerdict } from '../src/index.ts';
import { override } from '../src/wrap/wrap.ts';

/** One place, opened again and again as a server's is. */
function onePlace(inner: Backend, change: Partial<Backend> = {}): () => Promise<Backend> {
  return async () => override(inner, change);
}

async function namesIn(backend: Backend): Promise<string[]> {
  const names: string[] = [];
  for (const type of ['key', 'lock', 'snapshot', 'index', 'data'] as const) {
    for await (const { name } of backend.list(type)) names.push(name);
  }
  const config = await backend.stat({ type: 'config', name: '' }).catch(() => undefined);
  return config === undefined ? names : ['config', ...names];
}

const broken = (verdicts: readonly BackendVerdict[]): string[] =>
  verdicts.filter(({ kept }) => !kept).map(({ name }) => name);

describe('checkBackend', () => {
  it('finds that all promises are kept, and leaves nothing', async () => {
    const place = memoryBackend();
    const verdicts = await Array.fromAsync(checkBackend(onePlace(place)));
    expect(verdicts.length).toBeGreaterThan(40);
    expect(broken(verdicts)).toEqual([]);
    expect(new Set(verdicts.map(({ group }) => group))).toEqual(
      new Set(['saving', 'loading', 'listing', 'aborting', 'living and dying']),
    );
    expect(await namesIn(place)).toEqual([]);
  });

  it('leaves no folder of its own, and keeps those of others', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'check-'));
    const path = join(folder, 'a/b/scratch');
    for await (const { kept } of checkBackend(async () => localBackend(path))) {
      expect(kept).toBe(true);
      break;
    }
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('tells what is broken, and leaves nothing then either', async () => {
    const place = memoryBackend();
    const open = async (): Promise<Backend> =>
      wrap(place, withFaults({ faults: [{ effect: { kind: 'truncate', length: 7 } }] }));
    const verdicts = await Array.fromAsync(checkBackend(open));
    expect(broken(verdicts)).toContain('loads 50 ranges');
    expect(verdicts.find(({ name }) => name === 'loads 50 ranges')?.error?.message).toMatch(/length/);
    expect(await namesIn(place)).toEqual([]);
  });

  it('takes both, servers that replace a file and servers that refuse to, where the protocol leaves it open', async () => {
    for (const place of [memoryBackend(), memoryBackend({ atomicReplace: false })]) {
      const traits = memoryBackend({ atomicReplace: false }).traits;
      const verdicts = await Array.fromAsync(checkBackend(onePlace(place, { traits })));
      expect(broken(verdicts)).toEqual([]);
      expect(await namesIn(place)).toEqual([]);
    }
  });

  it('notices secrets', async () => {
    const open = onePlace(memoryBackend(), { location: 'hunter2' });
    const verdicts = await Array.fromAsync(checkBackend(open, { secrets: ['hunter2'] }));
    expect(broken(verdicts)).toEqual(['shows no secret in its location']);
  });

  it.each([
    ['says so', memoryBackend({ canRemove: false })],
    ['does not say so', override(memoryBackend({ canRemove: false }), { traits: memoryBackend().traits })],
  ])('stores nothing where nothing can be removed and the place %s', async (_, place) => {
    await expect(Array.fromAsync(checkBackend(onePlace(place)))).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining('append-only'),
    });
    expect(await namesIn(place)).toEqual([]);
  });

  it('checks an append-only place when it may leave files, each promise in a place of its own', async () => {
    const places = new Map<number, Backend>();
    const open = async (place: number): Promise<Backend> => {
      const inner = places.get(place) ?? memoryBackend({ atomicReplace: false, canRemove: false });
      places.set(place, inner);
      return override(inner, { traits: { ...inner.traits, canRemove: true } });
    };
    const verdicts = await Array.fromAsync(checkBackend(open, { leaveFiles: true }));
    expect(broken(verdicts)).toEqual([]);
    expect(places.size).toBe(verdicts.length + 1);
    expect(await namesIn(places.get(0) ?? memoryBackend())).toEqual([]);
  });

  it('ends with its signal in the middle of a promise, and leaves nothing', async () => {
    const place = memoryBackend();
    const controller = new AbortController();
    let saves = 0;
    const open = onePlace(place, {
      save: async (file, segments, call) => {
        await place.save(file, segments, call);
        if ((saves += 1) === 100) controller.abort();
      },
    });
    await expect(Array.fromAsync(checkBackend(open, controller))).rejects.toMatchObject({ code: 'aborted' });
    expect(saves).toBeLessThan(120);
    expect(await namesIn(place)).toEqual([]);
  });

  it('takes what never ends for broken', async () => {
    const place = memoryBackend();
    const open = onePlace(place, {
      stat: (file, call) => (file.type === 'config' ? new Promise(() => undefined) : place.stat(file, call)),
    });
    const verdicts = await Array.fromAsync(checkBackend(open, { timeoutMs: 300 }));
    const [stuck] = verdicts.filter(({ kept }) => !kept);
    expect(stuck).toMatchObject({ group: 'loading', error: { message: 'takes longer than 0.3 s' } });
  });

  it('says when something had to stay', async () => {
    const place = memoryBackend();
    let first = '';
    const open = onePlace(place, {
      remove: async (file, call) => {
        first ||= file.name;
        if (file.name !== first) throw new EngineError('io', 'out of order');
        await place.remove(file, call);
      },
    });
    await expect(Array.fromAsync(checkBackend(open))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/^not all of memory could be removed: out of order$/),
    });
  });

  it('tells why a place cannot be made', async () => {
    const open = onePlace(memoryBackend(), {
      create: async () => {
        throw new EngineError('denied', 'not here');
      },
    });
    await expect(Array.fromAsync(checkBackend(open))).rejects.toMatchObject({ message: 'not here' });
  });
});
