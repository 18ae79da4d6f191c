import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { hash } from 'node:crypto';
import { abortedError } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { override } from '../../src/wrap/wrap.ts';
import { diskCache } from '../../src/index.ts';
import { fileOf, makePlace, REPOSITORY } from './support.ts';

// Many readers of one pack, in one program and in several.

const SIZE = 200_000;
const ranges = Array.from({ length: 20 }, (_, at) => ({ offset: at * 9999, length: 10_000 }));

describe('twenty readers of one pack', () => {
  it('cause one request', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const backend = place.open();
    const parts = await Promise.all(ranges.map((range) => backend.load(file, range)));
    for (const [at, { offset, length }] of ranges.entries()) {
      const part = parts[at] ?? new Uint8Array();
      expect(Buffer.compare(part, content.subarray(offset, offset + length))).toBe(0);
      expect(part.buffer.byteLength).toBe(length);
    }
    expect(place.calls).toEqual(['load data']);
  });

  it('cause one more when the first fails for all of them', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const backend = place.open({ faults: [{ nth: 1, effect: { kind: 'fail-before' } }] });
    const settled = await Promise.allSettled(ranges.map((range) => backend.load(file, range)));
    expect(new Set(settled.map(({ status }) => status))).toEqual(new Set(['rejected']));
    await Promise.all(ranges.map((range) => backend.load(file, range)));
    expect(place.calls).toHaveLength(2);
  });

  it('do not suffer when some of them give up, and nothing goes on when all do', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    let answer = (): void => undefined;
    const started = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    let loads = 0;
    const slow = override(place.store, {
      load: async (handle, range, call) => {
        loads += 1;
        started.resolve();
        await new Promise<void>((resolve, reject) => {
          answer = resolve;
          call?.signal?.addEventListener('abort', () => {
            stopped.resolve();
            if (call.signal) reject(abortedError(call.signal));
          });
        });
        return place.store.load(handle, range, call);
      },
    });
    const backend = diskCache({ folder: place.folder }).inFrontOf(slow, REPOSITORY);
    const one = new AbortController();
    const both = ranges.slice(0, 2);
    const [leaving, staying] = both.map((range, at) =>
      backend.load(file, range, at === 0 ? { signal: one.signal } : {}),
    );
    await started.promise;
    one.abort();
    await expect(leaving).rejects.toMatchObject({ code: 'aborted' });
    answer();
    expect((await staying)?.length).toBe(10_000);
    expect(loads).toBe(1);

    const other = fileOf('data', SIZE, 2);
    await place.store.save(other.file, [other.content]);
    const all = new AbortController();
    const leavers = both.map((range) => backend.load(other.file, range, { signal: all.signal }));
    while (loads < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    all.abort();
    for (const leaver of leavers) await expect(leaver).rejects.toMatchObject({ code: 'aborted' });
    await stopped.promise;
  });
});

it('two programs that fill one cache at once do not disturb each other', async () => {
  await using place = await makePlace();
  const files = Array.from({ length: 30 }, (_, seed) => fileOf(seed % 2 === 0 ? 'data' : 'index', 5000, seed));
  for (const { file, content } of files) await place.store.save(file, [content]);
  const programs = [place.open(), place.open(), place.open()];
  await Promise.all(
    programs.flatMap((program) =>
      files.map(async ({ file, content }) => {
        const bytes = await program.load(file, file.type === 'data' ? { offset: 0, length: 5000 } : undefined);
        expect(hash('sha256', bytes)).toBe(hash('sha256', content));
      }),
    ),
  );
  for (const { file, content } of files) expect(place.has(file, content)).toBe(true);
  expect(place.notices).toEqual([]);
});

it('goes on when somebody removes the cache under its feet', async () => {
  await using place = await makePlace();
  const [first, second] = [fileOf('index', 100, 1), fileOf('index', 100, 2)];
  const backend = place.open();
  await backend.save(first.file, [first.content]);
  rmSync(place.folder, { recursive: true });
  expect(Buffer.compare(await backend.load(first.file), first.content)).toBe(0);
  rmSync(place.folder, { recursive: true });
  await backend.save(second.file, [second.content]);
  expect(place.has(second.file, second.content)).toBe(true);
  rmSync(place.folder, { recursive: true });
  mkdirSync(dirname(place.copyOf(second.file)), { recursive: true });
  await backend.remove(second.file);
  expect(place.notices).toEqual([]);
});
