import { withRetry, wrap } from 'restic-engine';
import type { Backend, Code } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { fastTime } from '../support/fast-time.ts';
import { startHttpProxy } from '../support/http-proxy.ts';
import type { HttpEffect, HttpProxy } from '../support/http-proxy.ts';
import { randomFrom } from '../support/random.ts';
import { describeWithServers, KINDS, openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import type { Place, Server } from './server.ts';
import { dataFile, expectWholeFiles, holds } from './stored.ts';

// Servers that answer, but badly. The proxy in front of the real server says what the server would say on a bad day.

showLogsOfFailures();

const CONTENT = randomFrom(9).bytes(300_000);
const OTHER = randomFrom(10).bytes(1000);
const FILE = dataFile(CONTENT);

/** Everything that can be asked of a place in which {@link FILE} is, and how to tell that it was done. */
const WORK: Readonly<Record<string, (backend: Backend) => Promise<boolean>>> = {
  async save(backend) {
    await backend.save(dataFile(OTHER), [OTHER]);
    return holds(backend, OTHER);
  },
  load: (backend) => holds(backend, CONTENT),
  async 'load a part'(backend) {
    const part = await backend.load(FILE, { offset: 100_000, length: 50_000 });
    return Buffer.compare(part, CONTENT.subarray(100_000, 150_000)) === 0;
  },
  stat: async (backend) => (await backend.stat(FILE)).size === CONTENT.length,
  list: async (backend) => (await Array.fromAsync(backend.list('data'))).some(({ name }) => name === FILE.name),
  async remove(backend) {
    await backend.remove(FILE);
    return (await Array.fromAsync(backend.list('data'))).every(({ name }) => name !== FILE.name);
  },
};

interface Setting extends AsyncDisposable {
  readonly proxy: HttpProxy;
  /** Through the proxy. */
  readonly backend: Backend;
  readonly direct: Place;
}

let places = 0;

async function makeSetting(server: Server, stuckRequestMs = 60_000): Promise<Setting> {
  const proxy = await startHttpProxy({ target: server.port });
  places += 1;
  const name = `http-${places}`;
  const direct = await server.place(name);
  {
    await using backend = await openPlace(direct);
    await backend.create();
    await backend.save(FILE, [CONTENT]);
  }
  const backend = await openPlace(await server.place(name, { port: proxy.port }), { http: { stuckRequestMs } });
  return {
    proxy,
    backend,
    direct,
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** rclone is one more server for the same client, and these answers are not the server's. */
const KINDS_OF_HTTP = KINDS.filter(({ name, protocol }) => protocol !== 'sftp' && name !== 'rclone');
const PASSING: readonly { readonly effect: HttpEffect; readonly codes: readonly Code[] }[] = [
  { effect: { answer: 500, body: 'Internal Server Error' }, codes: ['io'] },
  { effect: { answer: 502, body: '<html>Bad Gateway</html>' }, codes: ['io'] },
  { effect: { answer: 503 }, codes: ['io', 'throttled'] },
  { effect: { answer: 429, headers: { 'retry-after': '7' } }, codes: ['throttled'] },
  { effect: { loseAnswer: true }, codes: ['io'] },
];

await describeWithServers('a bad answer', KINDS_OF_HTTP, ({ server, kind }) => {
  describe.each(PASSING)('passes: $effect', ({ effect, codes }) => {
    it.each(Object.entries(WORK))('%s', async (_, work) => {
      await using setting = await makeSetting(server());
      const { backend, proxy } = setting;
      const once = proxy.arm({ effect });
      const error: unknown = await work(backend).catch((reason: unknown) => reason);
      expect(once.happened).toBe(1);
      expect(error).toMatchObject({ code: expect.toBeOneOf([...codes]), retryable: true });

      const time = fastTime();
      proxy.arm({ effect, times: 2 });
      expect(await work(wrap(backend, withRetry({ time, attempts: 10 })))).toBe(true);
      expect(time.sleeps).toHaveLength(2);
      await expectWholeFiles(setting.direct);
    });
  });

  it('says how long to wait', async () => {
    await using setting = await makeSetting(server());
    const { backend, proxy } = setting;
    for (const answer of [429, 503]) {
      proxy.arm({ effect: { answer, headers: { 'retry-after': '90' } } });
      await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'throttled', context: { retryAfterMs: 90_000 } });
      const time = fastTime();
      proxy.arm({ effect: { answer, headers: { 'retry-after': '90' } } });
      await wrap(backend, withRetry({ time })).stat(FILE);
      expect(Math.min(...time.sleeps)).toBeGreaterThanOrEqual(90_000);
    }
  });

  it.each([
    [401, 'unauthorized'],
    [403, 'denied'],
    [507, 'no-space'],
  ] as const)('lasts: %i', async (answer, code) => {
    await using setting = await makeSetting(server());
    const { backend, proxy } = setting;
    const time = fastTime();
    const insisting = wrap(backend, withRetry({ time }));
    for (const work of [() => insisting.load(FILE), () => insisting.stat(FILE), () => insisting.remove(FILE)]) {
      proxy.arm({ effect: { answer } });
      await expect(work(), `${kind.name} ${work.toString()}`).rejects.toMatchObject({ code, retryable: false });
    }
    expect(time.sleeps).toEqual([]);
  });

  it.each([0, 1, 150_000])('ends after %i bytes of its body', async (truncate) => {
    await using setting = await makeSetting(server());
    const { backend, proxy } = setting;
    for (const load of [() => backend.load(FILE), () => backend.load(FILE, { offset: 0, length: CONTENT.length })]) {
      proxy.arm({ method: 'GET', effect: { truncate } });
      await expect(load()).rejects.toMatchObject({ code: 'io' });
    }
    proxy.arm({ method: 'GET', effect: { truncate }, times: 3 });
    expect(await holds(wrap(backend, withRetry({ time: fastTime() })), CONTENT)).toBe(true);
  });

  it('ends in the middle of a listing', async () => {
    await using setting = await makeSetting(server());
    const { backend, proxy } = setting;
    await Promise.all(
      Array.from({ length: 20 }, (_, file) => {
        const content = Buffer.from(`file ${file}`);
        return backend.save(dataFile(content), [content]);
      }),
    );
    for (const truncate of [0, 1, 300, 1000]) {
      proxy.arm({ method: 'GET', effect: { truncate } });
      await expect(Array.fromAsync(backend.list('data'))).rejects.toMatchObject({ code: 'io' });
      proxy.arm({ method: 'GET', effect: { truncate }, times: 2 });
      const listed = await Array.fromAsync(wrap(backend, withRetry({ time: fastTime() })).list('data'));
      expect(new Set(listed.map(({ name }) => name)).size).toBe(21);
      expect(listed).toHaveLength(21);
    }
  });

  it.each([{ silence: true }, { stall: 0 }, { stall: 1000 }] satisfies HttpEffect[])(
    'never comes: %o',
    async (effect) => {
      await using setting = await makeSetting(server(), 300);
      const { backend, proxy } = setting;
      proxy.arm({ method: 'GET', effect });
      await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'io' });
      proxy.arm({ method: 'GET', effect, times: 2 });
      expect(await holds(wrap(backend, withRetry({ time: fastTime() })), CONTENT)).toBe(true);
    },
  );
});
