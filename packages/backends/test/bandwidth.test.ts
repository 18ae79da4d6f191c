import type { FileHandle } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { PIECE } from '../src/bandwidth.ts';
import { bandwidth, memoryBackend, openBackend, withBandwidth, wrap } from '../src/index.ts';
import { virtualTime } from './wrap/time.ts';

const KIB = 1024;

describe('bandwidth', () => {
  it('lets bytes pass at its rate, each direction for itself', async () => {
    const time = virtualTime();
    const line = bandwidth({ upload: 1000, download: 400, time });
    const done: [string, number][] = [];
    const run = async (direction: 'upload' | 'download'): Promise<void> => {
      for (let piece = 0; piece < 3; piece += 1) {
        await line[direction](1000);
        done.push([direction, time.now()]);
      }
    };
    await time.run(Promise.all([run('upload'), run('download')]));
    expect(done).toEqual([
      ['upload', 0],
      ['download', 0],
      ['upload', 1000],
      ['upload', 2000],
      ['download', 2500],
      ['download', 5000],
    ]);
  });

  it('has no limit where none is given', async () => {
    const time = virtualTime();
    const line = bandwidth({ download: 10, time });
    expect([line.limitsUpload, line.limitsDownload]).toEqual([false, true]);
    await line.upload(2 ** 40);
    await line.upload(2 ** 40);
    expect(time.now()).toBe(0);
  });

  it('lets those who share it take turns, piece by piece', async () => {
    const time = virtualTime();
    const line = bandwidth({ upload: 100, time });
    const order: string[] = [];
    const send = async (who: string): Promise<void> => {
      for (let piece = 0; piece < 3; piece += 1) {
        await line.upload(100);
        order.push(who);
      }
    };
    await time.run(Promise.all(['a', 'b', 'c'].map(send)));
    expect(order.join('')).toBe('abcabcabc');
    expect(time.now()).toBe(8000);
  });

  it('saves up no more than a tenth of a second while the line is idle', async () => {
    const time = virtualTime();
    const line = bandwidth({ upload: 100, time });
    await line.upload(100);
    await time.run(time.sleep(60_000, undefined));
    await line.upload(100);
    await time.run(line.upload(100));
    expect(time.now()).toBe(60_900);
  });

  it('keeps its rate although whoever waits comes late', async () => {
    const time = virtualTime();
    const late = { now: () => time.now(), sleep: (ms: number, signal?: AbortSignal) => time.sleep(ms + 3, signal) };
    const line = bandwidth({ upload: 10_000, time: late });
    await time.run(
      (async () => {
        for (let piece = 0; piece < 1000; piece += 1) await line.upload(100);
      })(),
    );
    expect(time.now()).toBeGreaterThanOrEqual(9990);
    expect(time.now()).toBeLessThan(10_010);
  });

  it('lets go of who is aborted, before and while waiting', async () => {
    const line = bandwidth({ upload: 1 });
    const controller = new AbortController();
    await line.upload(3600);
    const waiting = line.upload(1, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await expect(line.upload(1, controller.signal)).rejects.toMatchObject({ code: 'aborted' });
  });

  it.each([0, -1, Number.NaN])('refuses a rate of %d', (rate) => {
    expect(() => bandwidth({ upload: rate })).toThrow(RangeError);
    expect(() => bandwidth({ download: rate })).toThrow(RangeError);
  });
});

describe('withBandwidth', () => {
  const FILE: FileHandle = { type: 'data', name: 'ab'.repeat(32) };
  const bytes = new Uint8Array(10 * PIECE);

  it('paces what is saved and loaded, ranges by their length, and nothing else', async () => {
    const time = virtualTime();
    const line = bandwidth({ upload: PIECE, download: 2 * PIECE, time });
    const backend = wrap(memoryBackend(), withBandwidth(line));
    await time.run(backend.save(FILE, [bytes.subarray(0, PIECE), bytes.subarray(PIECE)]));
    expect(time.now()).toBe(9000);
    await time.run(backend.load(FILE, { offset: 0, length: 3 * PIECE }));
    expect(time.now()).toBe(10_000);
    await backend.stat(FILE);
    await backend.remove(FILE);
    expect(time.now()).toBe(10_000);
  });

  it('lets a short file through while a long one is being sent', async () => {
    const time = virtualTime();
    const backend = wrap(memoryBackend(), withBandwidth(bandwidth({ upload: PIECE, time })));
    const ends: number[] = [];
    const long = backend.save(FILE, [bytes]).then(() => ends.push(time.now()));
    const short = backend.save({ type: 'lock', name: FILE.name }, [bytes.subarray(0, KIB)]);
    await time.run(Promise.all([long, short.then(() => ends.push(time.now()))]));
    expect(ends[0]).toBeLessThan(2000);
    expect(ends[1]).toBeGreaterThan(8000);
  });

  it('is put around a local folder by openBackend', async () => {
    const time = virtualTime();
    const line = bandwidth({ upload: 1, time });
    await line.upload(3600);
    const backend = await openBackend('/nonexistent/repo', { bandwidth: line });
    const controller = new AbortController();
    const saving = backend.save(FILE, [bytes], controller);
    controller.abort();
    await expect(time.run(saving)).rejects.toMatchObject({ code: 'aborted' });
  });
});
