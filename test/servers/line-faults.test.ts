import { withRetry, wrap } from 'restic-engine';
import type { Backend } from 'restic-engine';
import { expect, it } from 'vitest';
import { fastTime } from '../support/fast-time.ts';
import { startProxy } from '../support/proxy.ts';
import type { LineFault, Proxy } from '../support/proxy.ts';
import { randomFrom } from '../support/random.ts';
import { describeWithServers, KINDS, openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import type { Place, Server } from './server.ts';
import { dataFile, expectWholeFiles, holds } from './stored.ts';

// What becomes of one file on lines that break: the backend says `io`, repeating helps, and nothing is seen half.

showLogsOfFailures();

const CONTENT = randomFrom(8).bytes(3 << 20);
const FILE = dataFile(CONTENT);
const OTHER_CONTENT = randomFrom(80).bytes(2 << 20);
const OTHER = dataFile(OTHER_CONTENT);
const EFFECTS = ['end', 'reset'] as const;
/** In headers, early, in the middle, and just before the end. */
const UPLOADED = [0, 100, 50_000, CONTENT.length / 2, CONTENT.length - 1];
const DOWNLOADED = [0, 50_000, CONTENT.length / 2, CONTENT.length - 1];

let places = 0;

interface Line extends AsyncDisposable {
  readonly proxy: Proxy;
  /** Through the proxy, over connections that are open already. */
  readonly backend: Backend;
  /** Without the proxy. */
  readonly direct: Place;
}

/** A new place at the end of a line of its own. With `stuckMs` a call is given up after so long without a byte. */
async function makeLine(server: Server, stuckMs?: number): Promise<Line> {
  const proxy = await startProxy({ target: server.port });
  places += 1;
  const name = `line-${places}`;
  const direct = await server.place(name);
  const http = stuckMs === undefined ? {} : { stuckRequestMs: stuckMs };
  const backend = await openPlace(await server.place(name, { port: proxy.port }), { http });
  if (stuckMs === undefined) {
    await backend.create();
  } else {
    await fill(direct);
    await insist(backend).stat(FILE);
  }
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

/** Puts the file there, with all the time it takes. */
async function fill(place: Place): Promise<void> {
  await using backend = await openPlace(place);
  await backend.create();
  await backend.save(FILE, [CONTENT]);
}

/** Repeats at once what a program would repeat after a while. */
const insist = (backend: Backend, attempts = 10): Backend => wrap(backend, withRetry({ time: fastTime(), attempts }));

const cases = (direction: LineFault['direction'], after: readonly number[]): LineFault[] =>
  after.flatMap((bytes) => EFFECTS.map((effect) => ({ direction, after: bytes, effect })));

/** rclone is one more server for the same client; what it does when lines break is seen with whole backups. */
const SERVERS = KINDS.filter(({ name }) => name !== 'rclone');

await describeWithServers('a line', SERVERS, ({ server }) => {
  it.each(cases('up', UPLOADED))('breaks in an upload after $after bytes: $effect', async (fault) => {
    await using line = await makeLine(server());
    const armed = line.proxy.arm(fault);
    await expect(line.backend.save(FILE, [CONTENT])).rejects.toMatchObject({ code: 'io' });
    expect(armed.happened).toBe(1);
    await expectWholeFiles(line.direct);

    line.proxy.arm(fault);
    await insist(line.backend).save(FILE, [CONTENT]);
    expect(await holds(line.backend, CONTENT)).toBe(true);
    expect(await expectWholeFiles(line.direct)).toBe(1);
  });

  it.each(cases('down', DOWNLOADED))('breaks in a download after $after bytes: $effect', async (fault) => {
    await using line = await makeLine(server());
    await line.backend.save(FILE, [CONTENT]);
    const whole = line.proxy.arm(fault);
    await expect(line.backend.load(FILE)).rejects.toMatchObject({ code: 'io' });
    expect(whole.happened).toBe(1);
    const part = line.proxy.arm(fault);
    await expect(line.backend.load(FILE, { offset: 0, length: CONTENT.length })).rejects.toMatchObject({ code: 'io' });
    expect(part.happened).toBe(1);

    line.proxy.arm({ ...fault, times: 3 });
    expect(await holds(insist(line.backend), CONTENT)).toBe(true);
  });

  it('breaks in every other thing', async () => {
    await using line = await makeLine(server());
    const { backend, proxy } = line;
    await backend.save(FILE, [CONTENT]);
    for (const effect of EFFECTS) {
      for (const [direction, after] of [
        ['up', 0],
        ['up', 10],
        ['down', 0],
        ['down', 10],
      ] as const) {
        for (const work of [
          (place: Backend) => place.stat(FILE),
          (place: Backend) => Array.fromAsync(place.list('data')),
          (place: Backend) => place.remove(dataFile(Buffer.of(1))),
          (place: Backend) => place.create(),
        ]) {
          const armed = proxy.arm({ direction, after, effect });
          await work(insist(backend));
          expect(armed.happened, `${work.toString()} ${direction} ${after}`).toBe(1);
        }
      }
    }
    expect(await expectWholeFiles(line.direct)).toBe(1);
  });

  it('is refused, and accepted again', async () => {
    await using line = await makeLine(server());
    await line.proxy.refuse();
    for (const work of [line.backend.stat(FILE), line.backend.save(FILE, [CONTENT])]) {
      await expect(work).rejects.toMatchObject({ code: 'io' });
    }
    let refusals = 0;
    const time = fastTime(async () => {
      refusals += 1;
      if (refusals === 3) await line.proxy.accept();
    });
    const patient = wrap(line.backend, withRetry({ time, attempts: 10 }));
    await patient.save(FILE, [CONTENT]);
    expect(refusals).toBe(3);
    expect(await expectWholeFiles(line.direct)).toBe(1);
  });

  it('leads nowhere: the name of the host is not known', async () => {
    const place = await server().place('nowhere');
    const location = place.location.replace('127.0.0.1', 'no-such-host.invalid');
    await using backend = await openPlace({ ...place, location });
    const error: unknown = await backend.stat(FILE).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'io', message: expect.stringContaining('no-such-host.invalid') });
    for (const secret of place.secrets) expect(JSON.stringify(error)).not.toContain(secret);
  });

  it.each([
    ['an answer', 'down', 0],
    ['the middle of an answer', 'down', 100_000],
    ['a request', 'up', 0],
  ] as const)('stands still in %s', async (_, direction, after) => {
    await using line = await makeLine(server(), 400);
    const { backend, proxy } = line;
    proxy.arm({ direction, after, effect: 'stall' });
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'io' });
    await insist(backend).stat(FILE);
    proxy.arm({ direction, after, effect: 'stall' });
    expect(await holds(insist(backend), CONTENT)).toBe(true);
  });

  it('stands still in an upload', async () => {
    await using line = await makeLine(server(), 400);
    const { backend, proxy } = line;
    proxy.arm({ direction: 'up', after: 1 << 20, effect: 'stall' });
    await expect(backend.save(OTHER, [OTHER_CONTENT])).rejects.toMatchObject({ code: 'io' });
    await expectWholeFiles(line.direct);
    await insist(backend).stat(FILE);
    proxy.arm({ direction: 'up', after: 1 << 20, effect: 'stall' });
    await insist(backend).save(OTHER, [OTHER_CONTENT]);
    expect(await expectWholeFiles(line.direct)).toBe(2);
  });
});
